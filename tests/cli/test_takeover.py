"""`import` prints definitions that jobd accepts with the difference to the old scheduler, and writes when asked to."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from jobd.definitions.check import check
from tests.cli.conftest import Ctl

CRONTAB = "MAILTO=ops\n# nightly\n0,30 2 * * * postgres pg_dump shop\nx * * * * root y\n"
DST = ("--tz", "America/New_York", "--from", "2027-03-14T00:00Z", "--to", "2027-03-15T00:00Z")


@pytest.fixture(autouse=True)
def settings_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    jobs = tmp_path / "jobs.d"
    jobs.mkdir()
    config = tmp_path / "jobd.yaml"
    config.write_text("jobs_dirs: [jobs.d]\n")
    monkeypatch.setenv("JOBD_CONFIG", str(config))
    (tmp_path / "legacy").write_text(CRONTAB)
    return jobs


def test_what_is_printed_is_one_valid_file_with_the_differences_below(tmp_path: Path, ctl: Ctl) -> None:
    said = ctl("import", "crontab", "--system-form", str(tmp_path / "legacy"), *DST)
    assert said.code == 0
    (tmp_path / "out.yaml").write_text(said.out)
    verdict = check([str(tmp_path / "out.yaml")])
    assert verdict.problems == ()
    assert list(verdict.catalog.jobs) == ["legacy-pg_dump"]
    assert "# They differ at 1 instant:" in said.out
    assert "2027-03-14 07:00:00Z" in said.out
    for text in (said.out, said.err):
        assert "legacy:4:1: is not imported" in text
        assert "MAILTO" in text


def test_json_has_the_shape_of_the_contract(tmp_path: Path, ctl: Ctl) -> None:
    said = ctl("--json", "import", "crontab", "--system-form", str(tmp_path / "legacy"), *DST)
    answer = json.loads(said.out)
    (job,) = answer["jobs"]
    assert (job["name"], job["source"]) == ("legacy-pg_dump", f"{tmp_path}/legacy:3")
    assert job["definition"]["schedule"] == "0,30 2 * * *"
    assert "MAILTO" in job["problems"][0]
    assert answer["diff"] == [
        {"at": "2027-03-14T07:00:00Z", "old": ["legacy-pg_dump"] * 2, "new": ["legacy-pg_dump"]}
    ]  # fmt: skip
    assert len(answer["problems"]) == 1


def test_a_file_that_is_there_is_never_written_over_unless_told_to(
    tmp_path: Path, ctl: Ctl, settings_of_the_test: Path
) -> None:
    line = ("import", "crontab", "--system-form", str(tmp_path / "legacy"), "--write")
    assert ctl(*line).code == 0
    written = settings_of_the_test / "legacy.yaml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o644
    assert check([str(settings_of_the_test)]).problems == ()
    written.write_text("jobs: {}\n")
    said = ctl(*line)
    assert said.code != 0 and "--force" in said.err
    assert written.read_text() == "jobs: {}\n"
    assert ctl(*line, "--force").code == 0
    assert "pg_dump" in written.read_text()
    assert [path.name for path in settings_of_the_test.iterdir()] == ["legacy.yaml"]


def test_a_name_that_another_file_defines_is_not_given_again(
    tmp_path: Path, ctl: Ctl, settings_of_the_test: Path
) -> None:
    (settings_of_the_test / "other.yaml").write_text("jobs: {legacy-pg_dump: {command: [x]}}\n")
    assert ctl("import", "crontab", "--system-form", str(tmp_path / "legacy"), "--write").code == 0
    assert check([str(settings_of_the_test)]).problems == ()


def test_n_compares_so_many_fires_of_each_job(tmp_path: Path, ctl: Ctl) -> None:
    line = ("--json", "import", "crontab", "--system-form", str(tmp_path / "legacy"), "--tz", "UTC", "-n", "5")
    fires = json.loads(ctl(*line).out)["jobs"][0]["fires"]
    assert (fires["old"], fires["new"], fires["cut"]) == (5, 5, True)


def test_a_file_that_is_not_there_is_not_found(ctl: Ctl) -> None:
    assert ctl("import", "crontab", "/nowhere/at/all").code == 4


@pytest.mark.parametrize("line", [("--system", "f"), ("-u", "../x"), ("f", "--from", "soon")])
def test_bad_usage_is_told(ctl: Ctl, line: tuple[str, ...]) -> None:
    assert ctl("import", "crontab", *line).code == 2


def test_a_crontab_of_another_zone_keeps_its_zone(tmp_path: Path, ctl: Ctl) -> None:
    line = ("--json", "import", "crontab", "--system-form", str(tmp_path / "legacy"))
    (tmp_path / "jobd.yaml").write_text("jobs_dirs: [jobs.d]\ndefaults: {timezone: Asia/Tokyo}\n")
    for zone in ("America/New_York", "UTC"):
        answer = json.loads(ctl(*line, "--tz", zone, "--from", "2027-03-01T00:00Z").out)
        assert answer["jobs"][0]["definition"]["timezone"] == zone
        assert answer["diff"] == []
    (tmp_path / "jobd.yaml").write_text("jobs_dirs: [jobs.d]\n")
    assert "timezone" not in json.loads(ctl(*line).out)["jobs"][0]["definition"]


def test_timers_of_a_directory_are_taken_over(tmp_path: Path, ctl: Ctl, settings_of_the_test: Path) -> None:
    units = tmp_path / "units"
    units.mkdir()
    (units / "a.timer").write_text("[Timer]\nOnCalendar=*-*-* 01:30\n")
    (units / "a.service").write_text("[Service]\nExecStart=/bin/true\nPrivateTmp=yes\n")
    said = ctl("--json", "import", "timers", str(units), "--tz", "America/New_York", "--write")
    answer = json.loads(said.out)
    assert said.code == 0
    assert [job["definition"]["schedule"] for job in answer["jobs"]] == ["30 1 * * *"]
    assert "a.service:3:1: PrivateTmp=yes" in answer["jobs"][0]["problems"][0]
    assert answer["diff"] == []
    assert check([str(settings_of_the_test)]).problems == ()
    assert [path.name for path in settings_of_the_test.iterdir()] == ["a.yaml"]


def test_a_unit_that_does_not_exist_is_told(ctl: Ctl) -> None:
    said = ctl("import", "timers", "no-such-thing-at-all")
    assert "no such unit" in said.err
    assert ctl("import", "timers", "/nowhere/x.timer").code == 4


def test_a_job_of_the_files_goes_out_as_units(tmp_path: Path, ctl: Ctl, settings_of_the_test: Path) -> None:
    (settings_of_the_test / "a.yaml").write_text(
        "jobs: {a: {command: [/bin/true], schedule: '30 2 * * *', tags: [t]}}\n"
    )
    config = ("--config", str(tmp_path / "jobd.yaml"))
    said = ctl("export", "systemd", "a", *config)
    assert said.code == 0
    assert "OnCalendar=*-*-* 02:30:00" in said.out
    assert "tags" in said.err and "# not the same: tags" in said.out
    assert ctl("export", "systemd", "a", *config, "--write", str(tmp_path / "units")).code == 0
    assert sorted(path.name for path in (tmp_path / "units").iterdir()) == ["a.service", "a.timer"]
    assert ctl("export", "systemd", "a", *config, "--write", str(tmp_path / "units")).code == 1
    assert ctl("export", "systemd", "nope", *config).code == 4
