"""Judging files with no daemon, the shipped examples, and what reading a thousand files costs."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
import yaml

from jobd.definitions.catalog import diff
from jobd.definitions.check import check
from jobd.definitions.library import Library
from tests.definitions.builders import job, old

ROOT = Path(__file__).parents[2]


def test_a_directory_is_judged_as_a_daemon_would(tmp_path: Path) -> None:
    old(tmp_path / "a.yaml", job("a", "nice: 99"))
    old(tmp_path / "b.yaml", job("b"))
    verdict = check([str(tmp_path)])
    assert [str(problem) for problem in verdict.problems] == [
        f"{tmp_path}/a.yaml:4:11: jobs.a.nice: 99 is out of range (-20 to 19)"
    ]
    assert verdict.catalog.jobs.keys() == {"b"}


def test_a_file_is_judged_wherever_it_is_and_whoever_owns_it(tmp_path: Path) -> None:
    path = tmp_path / "draft of a job"
    path.write_text(job("a", "timeot: 1m"))
    path.chmod(0o666)
    (problem,) = check([str(path)]).problems
    assert str(problem) == f'{path}:4:5: jobs.a.timeot: unknown key, did you mean "timeout"?'


def test_a_file_is_judged_with_its_drop_ins(tmp_path: Path) -> None:
    path = old(tmp_path / "a.yaml", job("a"))
    old(tmp_path / "a.yaml.d" / "x.yaml", "jobs: {a: {nice: 4}}\n")
    assert check([str(path)]).catalog.jobs["a"].job.nice == 4


def test_two_files_that_define_the_same_name_are_a_problem(tmp_path: Path) -> None:
    paths = [str(old(tmp_path / f"{name}.yaml", job("same"))) for name in "ab"]
    assert len(check(paths).problems) == 2
    assert len(check([str(tmp_path)]).problems) == 2


def test_a_path_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert "No such file or directory" in str(check([str(tmp_path / "none")]).problems[0])


def test_what_this_host_does_not_have_is_a_warning(tmp_path: Path) -> None:
    old(
        tmp_path / "a.yaml",
        job(
            "a",
            "user: nobody-knows",
            "group: nor-this",
            "cwd: /no/where",
            "success_exit_status: [1]",
            command="[no-such]",
        ),
    )
    old(tmp_path / "my job.yaml", job("b"))
    old(tmp_path / "c.yaml.d" / "x.yaml", job("c"))
    verdict = check([str(tmp_path)])
    assert not verdict.problems
    assert [str(warning).removeprefix(f"{tmp_path}/") for warning in verdict.warnings] == [
        'a.yaml:3:5: jobs.a.command: there is no program "no-such" on this host',
        'a.yaml:4:5: jobs.a.user: there is no user "nobody-knows" on this host',
        'a.yaml:5:5: jobs.a.group: there is no group "nor-this" on this host',
        "a.yaml:6:5: jobs.a.cwd: there is no directory /no/where on this host",
        "a.yaml:7:5: jobs.a.success_exit_status: does not list 0, so that exit status 0 counts as a failure",
        "c.yaml.d: is not read because there is no c.yaml",
        "my job.yaml: is not read because of its name (letters, digits, '.', '_', '-', '+', '@', then .yaml)",
    ]


@pytest.mark.parametrize("folder", ["from-cron", "jobs.d"])
def test_the_shipped_examples_are_without_a_problem(folder: str) -> None:
    verdict = check([str(ROOT / "examples" / folder)])
    assert verdict.problems == ()
    assert verdict.catalog.jobs


def test_the_examples_from_cron_quote_the_lines_they_replace() -> None:
    files = list((ROOT / "examples" / "from-cron").glob("*.yaml"))
    assert len(files) >= 10
    for file in files:
        text = file.read_text()
        assert text.startswith("# /etc/cron"), file.name
        for one in check([str(file)]).catalog.jobs.values():
            assert one.job.schedule.expressions, one.job.name
            for expression in one.job.schedule.expressions:
                quoted = " ".join(text.split())
                assert quoted.count(expression) >= 2, f"{file.name}: {expression} is not in the quoted line"


def thousand(directory: Path) -> None:
    for index in range(1000):
        old(
            directory / f"job-{index}.yaml",
            f"""\
defaults: {{timezone: Europe/Madrid}}
jobs:
  nightly-backup-{index}:
    description: Dump the shop database of branch {index}
    command: [pg_dump, -Fc, -f, /backup/shop-{index}.dump, shop]
    schedule: "{index % 60} {index % 24} * * *"
    timeout: 30m
    retry: {{strategy: exponential, max_attempts: 5, base: 60s, multiplier: 2, max_delay: 1h, jitter: 0.1}}
    user: postgres
    env: {{PGHOST: db1, LANG: C.UTF-8}}
    priority: high
""",
        )


def seconds(work: object) -> float:
    started = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - started


@pytest.mark.slow
def test_a_thousand_files_load_in_a_small_multiple_of_the_bare_parser_and_one_change_costs_one(tmp_path: Path) -> None:
    """The aim is 2; the bound leaves room for a busy machine. Prints what was measured."""
    thousand(tmp_path)

    def bare() -> None:
        for path in tmp_path.iterdir():
            yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)

    def cold() -> None:
        assert len(Library([str(tmp_path)]).rescan().jobs) == 1000

    cold()
    ratio = min(seconds(cold) / seconds(bare) for _ in range(5))
    library = Library([str(tmp_path)])
    before = library.rescan()
    warm = min(seconds(library.rescan) for _ in range(5))
    old(tmp_path / "job-7.yaml", job("nightly-backup-7"))
    library.rescan()
    time.sleep(0.31)
    change = seconds(library.rescan)
    print(f"cold {ratio:.2f} of the bare parser, unchanged {warm * 1000:.1f} ms, one change {change * 1000:.1f} ms")
    assert diff(before, library.catalog).changed == ("nightly-backup-7",)
    assert ratio < 3
    assert change < 0.1


@pytest.mark.slow
def test_a_thousand_jobs_take_less_than_6_mib(tmp_path: Path) -> None:
    thousand(tmp_path)
    library = Library([str(tmp_path)])
    library.rescan()
    library = Library([str(tmp_path)])
    tracemalloc.start()
    try:
        library.rescan()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    print(f"1,000 jobs take {taken // 1024} KiB")
    assert taken < 6 * 1024 * 1024
