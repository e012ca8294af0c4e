"""A line of a crontab becomes a job that does what cron did, valid as it is printed, and says what it cannot."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.definitions.importers import compare, cronfiles, emit, naming, settle
from jobd.definitions.importers.cronfiles import Source
from jobd.definitions.importers.drafts import Imported
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.parse import parse, plain
from tests.examples import examples

FOLDER = Path(__file__).parent / "crontabs"
"""Lines of Debian's packages, comments in our own words; `crontab` is the one of the system."""
PACKAGES = {path.name: path.read_text() for path in sorted(FOLDER.iterdir()) if path.name != "crontab"}
SYSTEM = (FOLDER / "crontab").read_text()
NOW = datetime(2026, 3, 5, tzinfo=UTC)


def imported(text: str, *, is_system: bool = False, path: str = "f", **about: object) -> tuple[Imported, ...]:
    found = cronfiles.batch(Source(path, text.encode(), is_system), "America/New_York", "debian", **about)  # type: ignore[arg-type]
    return settle.settle(found.drafts, Rules())


def job_of(line: str, above: str = "") -> Imported:
    (found,) = imported(f"{above}{line}\n")
    return found


def assert_printed_as_meant(jobs: tuple[Imported, ...]) -> None:
    node = parse(settle.text(jobs).encode(), "out.yaml")
    assert node is not None
    assert [one.job for one in interpret(node, (), Rules())] == [job.job for job in jobs]


@pytest.mark.parametrize("name", [*PACKAGES, "crontab"])
def test_a_packages_crontab_is_taken_over_whole_and_fires_the_same(name: str) -> None:
    text = PACKAGES.get(name, SYSTEM)
    jobs = imported(text, is_system=True, path=f"/etc/cron.d/{name}" if name in PACKAGES else "/etc/crontab")
    lines = [line for line in text.splitlines() if line and line[0] in "0123456789*@"]
    assert len(jobs) == len(lines)
    assert all("schedule" in job.words and "left out" not in str(job.problems) for job in jobs)
    assert_printed_as_meant(jobs)
    over = (compare.Window(NOW, NOW + timedelta(days=14)),)
    assert compare.differences(compare.fires(jobs, over, "America/New_York")) == []


def test_names_tell_the_file_and_the_program() -> None:
    named = {
        name: [job.name for job in imported(text, is_system=True, path=f"/etc/cron.d/{name}")]
        for name, text in PACKAGES.items()
    }
    assert named["sysstat"] == ["sysstat-debian-sa1", "sysstat-debian-sa1-2"]
    assert named["php"] == ["php-sessionclean"]
    assert named["certbot"] == ["certbot"]
    assert named["mdadm"] == ["mdadm-checkarray"]
    assert named["mailman"][0] == "mailman-checkdbs"
    assert [job.name for job in imported(SYSTEM, is_system=True, path="/etc/crontab")] == [
        "cron-hourly", "cron-daily", "cron-weekly", "cron-monthly",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("cd /srv/app && bin/console cache:clear --env=prod", "console"),
        ("/usr/bin/flock -n /tmp/x.lock /usr/local/bin/backup.sh --full", "backup"),
        ("cd /srv && FOO=1 nice -n 10 python3 -m app.jobs run", "app.jobs"),
        ("/opt/x/bin/php -f /var/www/cron.php", "cron"),
        ("sh -c 'a && b'", "sh"),
        ('echo "$GREETING" in $(pwd); cat', "cat"),
        ("(sleep 5 & echo $!)", "job"),
        ("é && ü", "job"),
    ],
)
def test_a_name_is_that_of_the_program_and_not_of_what_is_around_it(command: str, name: str) -> None:
    assert naming.name(["", naming.purpose(command)], ()) == name


def test_plain_words_need_no_shell_and_all_else_gets_one() -> None:
    assert job_of("* * * * * /usr/bin/x -a b=c").words["command"] == ["/usr/bin/x", "-a", "b=c"]
    for line in ("a && b", "A=1 x", "echo $HOME", "cd /", "x > y", "x &", "echo 'a b'", "x ~", "x *", ". /etc/x"):
        assert job_of(f"* * * * * {line}").words["shell"] == line


def test_another_shell_gets_the_line_as_cron_gives_it() -> None:
    assert job_of("* * * * * x [[ 1 ]]", "SHELL=/bin/bash\n").words["command"] == ["/bin/bash", "-c", "x [[ 1 ]]"]


def test_the_surroundings_are_those_of_cron() -> None:
    words = job_of("* * * * * x%in", "HOME=/srv\nTZ=Asia/Tokyo\nLOGNAME=me\n").words
    assert words["cwd"] == "/srv"
    assert words["env"] == {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "HOME": "/srv", "TZ": "Asia/Tokyo"}
    assert (words["stdin"], words["timeout"], words["catch_up"], words["overlap"]) == ("in\n", 0, "skip", "allow")


def test_cron_tz_becomes_the_time_zone_and_debians_cron_is_said_to_ignore_it() -> None:
    job = job_of("0 12 * * * x", "CRON_TZ=Asia/Tokyo\n")
    assert job.words["timezone"] == "Asia/Tokyo"
    assert "CRON_TZ" in str(job.problems)
    over = (compare.Window(NOW, NOW + timedelta(days=1)),)
    assert [(one.old, one.new) for one in compare.differences(compare.fires([job], over, "America/New_York"))] == [
        ((), ("x",)),
        (("x",), ()),
    ]


def test_a_random_time_is_drawn_once_and_no_difference() -> None:
    job = job_of("5~40 3 * * * x")
    assert job.words["schedule"] == "H(5-40) 3 * * *"
    assert "random" in str(job.problems)
    (one,) = compare.fires([job], (compare.Window(NOW, NOW + timedelta(days=3)),), "UTC")
    assert (one.is_known, len(one.new)) == (False, 3)
    assert compare.differences([one]) == []


def test_what_cannot_be_said_is_named_in_the_yaml() -> None:
    jobs = imported("MAILTO=ops@example.org\nA-B=1\n0 0 31 2 * x\n")
    text = settle.text(jobs)
    assert "MAILTO" in text and "A-B" in text and "never runs" in text
    assert [problem.place.line for problem in jobs[0].problems] == [3] * len(jobs[0].problems)


def test_two_misses_in_one_gap_are_shown_as_the_difference_they_are() -> None:
    jobs = imported("0,30 2 * * * x\n")
    over = compare.windows(NOW, ["America/New_York"])
    (one,) = compare.differences(compare.fires(jobs, over, "America/New_York"))
    assert (one.at, one.old, one.new) == (datetime(2026, 3, 8, 7, tzinfo=UTC), ("x", "x"), ("x",))


def test_run_parts_is_one_job_or_one_for_each_script(tmp_path: Path) -> None:
    folder = tmp_path / "cron.daily"
    folder.mkdir()
    for name, mode in (("b-script", 0o755), ("a_script", 0o755), ("not.run", 0o755), ("plain", 0o644)):
        (folder / name).write_text("#!/bin/sh\n")
        os.chmod(folder / name, mode)
    line = f"25 6 * * * root test -x /usr/sbin/anacron || {{ cd / && run-parts --report {folder}; }}\n"
    assert len(imported(line, is_system=True)) == 1
    first, second = imported(line, is_system=True, splits=True)
    assert first.name == "cron-daily-a_script" and second.name == "cron-daily-b-script"
    assert first.words["shell"] == f"test -x /usr/sbin/anacron || {{ cd / && {folder}/a_script; }}"
    assert "one script after the other" in str(first.problems)


def test_a_host_is_read_as_cron_reads_it(tmp_path: Path) -> None:
    (tmp_path / "crontab").write_text(SYSTEM)
    folder = tmp_path / "cron.d"
    folder.mkdir()
    for name in ("php", "e2scrub_all"):
        (folder / name).write_text(PACKAGES[name])
    (folder / "old.dpkg-bak").write_text("* * * * * root x\n")
    (folder / ".placeholder").write_text("")
    sources, problems = cronfiles.of_host(str(tmp_path / "crontab"), str(folder))
    assert [os.path.basename(source.path) for source in sources] == ["crontab", "e2scrub_all", "php"]
    assert [problem.place.file for problem in problems] == [str(folder / "old.dpkg-bak")]


def test_names_that_are_taken_are_not_given_again() -> None:
    found = cronfiles.batch(Source("f", b"* * * * * x\n", False), "UTC", "debian")
    assert [job.name for job in settle.settle(found.drafts, Rules(), {"x"})] == ["x-2"]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80))
@settings(max_examples=examples(300), deadline=None)
def test_any_text_is_printed_as_yaml_that_reads_as_the_same(text: str) -> None:
    words = {"description": text, "command": ["x", text], "env": {"A": text}}
    node = parse(emit.document([("job", words, [text])], {}).encode(), "f")
    assert node is not None
    assert plain(node) == {"jobs": {"job": words}}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"), min_size=1, max_size=80))
@settings(max_examples=examples(150), deadline=None)
def test_any_command_is_taken_over_into_valid_yaml(command: str) -> None:
    jobs = imported(f"* * * * * {command}\n* * * * * y\n")
    assert_printed_as_meant(jobs)


@pytest.mark.parametrize(
    ("path", "is_system", "owner"),
    [
        ("/etc/crontab", True, None),
        ("/etc/cron.d/x", True, None),
        ("/etc/cron.d/sub/x", False, None),
        ("/var/spool/cron/crontabs/ann", False, "ann"),
        ("/var/spool/cron/ann", False, "ann"),
        ("/home/ann/crontab", False, None),
    ],
)
def test_where_a_crontab_lies_tells_its_form_and_its_owner(path: str, is_system: bool, owner: str | None) -> None:
    assert (cronfiles.is_system_file(path), cronfiles.owner_by_place(path)) == (is_system, owner)


def test_the_crontab_of_a_user_runs_as_that_user() -> None:
    found = cronfiles.batch(Source("/var/spool/cron/crontabs/ann", b"* * * * * x\n", False, "ann"), "UTC", "debian")
    (job,) = settle.settle(found.drafts, Rules())
    assert (job.words["user"], job.name) == ("ann", "ann-x")
