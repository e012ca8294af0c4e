"""The health report from figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobd.core.buckets import Level, Rate, Use, rate
from jobd.core.errors import NotFound
from jobd.core.model import Command, Job, RetryPolicy
from jobd.core.queues import Limits
from jobd.core.records import QueueFigures
from jobd.core.states import RunState
from jobd.observe.figures import Figures, Lane
from jobd.observe.health import configuration, report

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RATE = Rate(100, 60, 100)
COUNTS = {
    RunState.BLOCKED: 1,
    RunState.SCHEDULED: 2,
    RunState.QUEUED: 3,
    RunState.RETRYING: 4,
    RunState.RUNNING: 5,
    RunState.SUCCEEDED: 6,
    RunState.FAILED: 7,
    RunState.CANCELLED: 8,
}
FIGURES = QueueFigures("email", COUNTS, NOW - timedelta(seconds=90), 20, 17, 3, 1.5, 2)
EMAIL = Lane(Limits(4, RATE), Use(RATE, Level(37.0, NOW)), FIGURES)


def test_a_queue_is_told_with_its_limits_its_state_and_its_day() -> None:
    found = report(Figures(NOW, queues={"email": EMAIL}), {"workers_max": 16})
    assert found["healthy"] is True
    assert found["configuration"] == found["config"] == {"workers_max": 16}
    assert found["queues"]["email"] == {
        "config": {"max_running": 4, "rate_limit": "100/min"},
        "status": {"pending": 10, "processing": 5, "completed": 6, "failed": 7},
        "oldest_waiting_seconds": 90.0,
        "rate_limit": {"current": 63, "max": 100, "percentage": 63.0},
        "dead_letters": 2,
        "last_24h": {
            "executions": 20,
            "success_rate": 0.85,
            "failure_rate": 0.15,
            "avg_duration_seconds": 1.5,
            "succeeded": 17,
            "failed": 3,
            "average_seconds": 1.5,
        },
    }


def test_the_settings_of_queued_runs_are_told_with_the_rate_limits_of_queues() -> None:
    defaults = Job("adhoc", Command(("true",)), retry=RetryPolicy("fixed", 5, 2.0), timeout_seconds=60.0)
    rates = {"sms": rate({"rate": "5/sec", "burst": 9}), "email": rate("100/min")}
    assert configuration(defaults, rates, 16) == {
        "retry_strategy": "fixed",
        "retry_base": 2.0,
        "retry_multiplier": 2.0,
        "retry_max": 5,
        "retry_max_delay": 3600.0,
        "job_timeout": 60.0,
        "dead_letter_queue": True,
        "rate_limits": {"email": "100/min", "sms": {"rate": "5/sec", "burst": 9}},
        "workers_max": 16,
    }
    unsaid = configuration(Job("adhoc", Command(("true",))), {}, 16)
    assert (unsaid["retry_strategy"], unsaid["retry_max"]) == ("exponential", 3)


def test_a_rate_limit_is_told_by_how_far_it_is_used_up() -> None:
    use = Use(rate("100/min"), Level(88.0, NOW))
    found = report(Figures(NOW, queues={"email": Lane(Limits(4, use.limit), use)}), {})
    assert found["queues"]["email"]["rate_limit"] == {"current": 12, "max": 100, "percentage": 12.0}


def test_failed_runs_do_not_make_jobd_ill_but_a_degraded_part_does() -> None:
    assert report(Figures(NOW, queues={"email": EMAIL}), {})["healthy"] is True
    ill = report(Figures(NOW, degraded=(("storage_full", "no space"),)), {})
    assert ill["healthy"] is False
    assert ill["degraded"] == [{"reason": "storage_full", "detail": "no space"}]


def test_a_declared_queue_that_never_had_a_run_is_all_zeros() -> None:
    lane = report(Figures(NOW, queues={"default": Lane(Limits(8))}), {})["queues"]["default"]
    assert lane["status"] == {"pending": 0, "processing": 0, "completed": 0, "failed": 0}
    assert lane["last_24h"]["executions"] == 0
    assert lane["last_24h"]["success_rate"] is lane["last_24h"]["avg_duration_seconds"] is None


def test_one_queue_can_be_asked_for_and_an_unknown_one_is_not_found() -> None:
    figures = Figures(NOW, queues={"email": EMAIL, "default": Lane(Limits(8))})
    assert list(report(figures, {}, "email")["queues"]) == ["email"]
    with pytest.raises(NotFound, match='did you mean "email"'):
        report(figures, {}, "emial")
