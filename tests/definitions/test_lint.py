"""Schedules that are valid and look like a mistake are told of, each with its place; others are left in peace."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobd.definitions.check import check
from jobd.definitions.lint import lint

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
NEW_YORK = "timezone: America/New_York"


def doubts(directory: Path, *jobs: str, lasts: dict[str, float] | None = None) -> list[tuple[int, str, str]]:
    """(line, path, message) of every doubt about jobs that are each written on a line of their own, from line 2."""
    file = directory / "a.yaml"
    file.write_text("jobs:\n" + "".join(f"  {job}\n" for job in jobs))
    verdict = check([str(file)])
    assert verdict.problems == ()
    found = lint(verdict.catalog.jobs.values(), "UTC", NOW, (lasts or {}).get)
    return [(one.place.line, one.path, one.message) for one in found]


def job(name: str, schedule: str, more: str = "") -> str:
    return f'{name}: {{command: ["true"], schedule: "{schedule}", {more}}}'


@pytest.mark.parametrize(
    ("schedule", "more", "words"),
    [
        ("30 2 * * *", NEW_YORK, "that the clock skips on 2026-03-08 in America/New_York: shifted out of the DST gap"),
        ("30 2 * * *", f"{NEW_YORK}, jitter: 30m", "shifted out of the DST gap"),
        ("* 2 * * *", NEW_YORK, "fires nothing on 2026-03-08"),
        ("0 0 29 2 *", "", "is not due before 2028-02-29"),
        ("*/5 * * * *", "timeout: 10m", "10m is longer than the 5m between its slots"),
    ],
)
def test_a_doubtful_schedule_is_told_of(tmp_path: Path, schedule: str, more: str, words: str) -> None:
    ((line, path, message),) = doubts(tmp_path, job("a", schedule, more))
    assert line == 2
    assert path == ("jobs.a.timeout" if "timeout" in more else "jobs.a.schedule")
    assert words in message


@pytest.mark.parametrize(
    ("schedule", "more"),
    [
        ("30 3 * * *", NEW_YORK),
        ("30 2 * * *", "timezone: UTC"),
        ("30 2 * * 1", NEW_YORK),
        ("30 2 * * *", f"{NEW_YORK}, dst: {{gap: skip}}"),
        ("*/15 * * * *", NEW_YORK),
        ("* * * * *", NEW_YORK),
        ("every 90m", NEW_YORK),
        ("*/5 * * * *", ""),
        ("*/5 * * * *", "timeout: 4m"),
        ("*/5 * * * *", "timeout: 10m, overlap: allow"),
        ("30 2 * * *", f"{NEW_YORK}, enabled: false"),
        ("@boot", ""),
        ("after 10m", ""),
    ],
)
def test_a_schedule_without_a_doubt_is_left_in_peace(tmp_path: Path, schedule: str, more: str) -> None:
    assert doubts(tmp_path, job("a", schedule, more)) == []


@pytest.mark.parametrize(
    ("more", "seconds", "words"),
    [
        ("timeout: 0", 400.0, "has slots 5m apart, but a run usually takes 6m 40s (overlap: skip skips some)"),
        ("timeout: 0, overlap: queue", 400.0, "overlap: queue passes some over"),
        ("timeout: 0, overlap: allow", 400.0, None),
        ("timeout: 0", 299.0, None),
        ("timeout: 0", None, None),
    ],
)
def test_a_period_shorter_than_what_a_run_takes_is_told_of(
    tmp_path: Path, more: str, seconds: float | None, words: str | None
) -> None:
    found = doubts(tmp_path, job("a", "*/5 * * * *", more), lasts={"a": seconds} if seconds else None)
    assert len(found) == (words is not None)
    assert all(words in message for _, _, message in found if words)


def test_nobody_is_asked_about_a_job_whose_timeout_keeps_it_within_its_period(tmp_path: Path) -> None:
    def asked(name: str) -> Any:
        raise AssertionError(name)

    (tmp_path / "a.yaml").write_text(f"jobs:\n  {job('a', '30 2 * * *')}\n")
    assert list(lint(check([str(tmp_path)]).catalog.jobs.values(), "UTC", NOW, asked)) == []


def test_many_jobs_in_one_minute_are_told_of_once(tmp_path: Path) -> None:
    found = doubts(tmp_path, *(job(f"n{n}", "0 0 * * *") for n in range(6)))
    assert [(line, path) for line, path, _ in found] == [(2, "jobs.n0.schedule")]
    assert "is due at 00:00 together with n1, n2, n3 and 2 more" in found[0][2]


def test_few_jobs_spread_jobs_and_those_of_every_minute_are_no_crowd(tmp_path: Path) -> None:
    few = [job(f"n{n}", "0 0 * * *") for n in range(4)]
    few += [job(f"m{n}", "0 9 * * *") for n in range(9)]
    few += [job(f"j{n}", "0 0 * * *", "jitter: 10m") for n in range(9)]
    few += [job(f"h{n}", "H 4 * * *") for n in range(20)]
    few += [job(f"e{n}", "* * * * *") for n in range(20)]
    assert doubts(tmp_path, *few) == []
