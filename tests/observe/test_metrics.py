"""What a scrape shows of events and figures, read back with prometheus_client's own parsers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_text

from jobd.core import events
from jobd.core.buckets import Level, Rate, Use
from jobd.core.lateness import Check, Late
from jobd.core.model import AttemptKey, Ending, Usage
from jobd.core.queues import Limits
from jobd.core.records import JobStanding, QueueFigures
from jobd.core.states import Disposition, Outcome, RunState, Trigger
from jobd.observe.declared import METRICS
from jobd.observe.figures import Figures, JobFigures, Lane
from jobd.observe.metrics import Metrics
from jobd.observe.series import MOST_SERIES

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def figures() -> Figures:
    standing = JobStanding("backup", NOW, NOW, NOW, 7, RunState.SUCCEEDED, Outcome.SUCCEEDED, 0, NOW, NOW, None, 1, 2)
    in_queue = QueueFigures(
        "email", {RunState.QUEUED: 3, RunState.RUNNING: 1}, NOW - timedelta(seconds=30), 5, 4, 1, 0.5
    )
    return Figures(
        now=NOW,
        jobs={"backup": JobFigures(True, NOW + timedelta(hours=1), standing), "off": JobFigures(False, None, None)},
        queues={"email": Lane(Limits(4), Use(Rate(100, 60, 100), Level(37.5, NOW)), in_queue), "default": Lane()},
        workers={"busy": 2, "idle": 1},
        definition_errors=2,
        last_good_reload_at=NOW,
        enabled=1,
        disabled=1,
        last_reload_ok=False,
        store_bytes=4096,
        wal_bytes=512,
    )


def metrics() -> Metrics:
    made = Metrics("0.1.0", NOW, figures)
    made.define(["backup", "off"])
    return made


def finished(
    job: str = "backup", queue: str = "default", outcome: Outcome | None = Outcome.SUCCEEDED
) -> events.RunFinished:
    state = RunState.SUCCEEDED if outcome is Outcome.SUCCEEDED else RunState.CANCELLED
    return events.RunFinished(1, job, queue, NOW, state, outcome, 2.0, 0)


def values(made: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    body = b"".join(made.render()[0])
    samples = [sample for family in read_text(body.decode()) for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


def test_each_check_of_expect_has_a_series_that_is_one_while_it_fails() -> None:
    late = replace(figures().jobs["backup"], checks=(Check.SUCCESS, Check.RUNTIME))
    assert late.standing
    late = replace(late, standing=replace(late.standing, late=(Late(Check.SUCCESS, NOW),)))
    made = Metrics("0.1.0", NOW, lambda: replace(figures(), jobs={"backup": late}))
    found = {dict(labels)["check"]: value for (name, labels), value in values(made).items() if name == "jobd_job_late"}
    assert found == {"max_time_since_success": 1, "max_runtime": 0}


def test_events_are_counted_under_their_labels() -> None:
    made = metrics()
    made.take(events.RunAccepted(1, "backup", "email", Trigger.SUBMIT, NOW))
    made.take(events.AttemptStarted(AttemptKey(1, 1), "backup", "email", NOW, 0.2))
    ending = Ending(Outcome.FAILED, exit_code=1, usage=Usage(leftovers=2))
    made.take(events.AttemptFinished(AttemptKey(1, 1), "backup", "email", NOW, ending, NOW))
    made.take(finished(queue="email"))
    made.take(events.SlotDecided("backup", NOW, NOW, Disposition.STARTED, 1, lag_seconds=0.02))
    made.take(events.AttemptRescued(AttemptKey(2, 1), "backup", NOW, "adopted"))
    made.take(events.StoreCommitted(NOW, 0.003, 17))
    found = values(made)
    email = ("queue", "email")
    assert found["jobd_runs_submitted_total", (email,)] == 1
    assert found["jobd_run_wait_seconds_sum", (email,)] == 0.2
    assert found["jobd_attempts_total", (("job_name", "backup"), ("outcome", "failed"), email)] == 1
    assert found["jobd_runs_retried_total", (email,)] == 1
    assert found["jobd_leftover_processes_total", ()] == 2
    assert found["jobd_runs_finished_total", (("job_name", "backup"), ("outcome", "succeeded"), email)] == 1
    assert found["jobd_run_duration_seconds_sum", (email,)] == 2.0
    assert found["jobd_slots_total", (("disposition", "started"),)] == 1
    assert found["jobd_scheduler_lag_seconds_count", ()] == 1
    assert found["jobd_rescued_attempts_total", (("how", "adopted"),)] == 1
    assert found["jobd_store_group_size_sum", ()] == 17
    assert found["jobd_store_commit_seconds_sum", ()] == 0.003


def test_figures_are_shown_as_they_are_at_the_scrape() -> None:
    found = values(metrics())
    assert found["jobd_queue_depth", (("queue", "email"), ("state", "queued"))] == 3
    assert found["jobd_queue_oldest_seconds", (("queue", "email"),)] == 30
    assert found["jobd_queue_limit", (("queue", "email"),)] == 4
    assert ("jobd_queue_limit", (("queue", "default"),)) not in found
    assert found["jobd_rate_limit_tokens", (("queue", "email"),)] == 37.5
    assert ("jobd_rate_limit_tokens", (("queue", "default"),)) not in found
    assert found["jobd_jobs", (("state", "disabled"),)] == 1
    assert found["jobd_job_running", (("job_name", "backup"),)] == 2
    assert found["jobd_job_last_run_exit_code", (("job_name", "backup"),)] == 0
    assert found["jobd_job_next_run_timestamp_seconds", (("job_name", "backup"),)] == NOW.timestamp() + 3600
    assert ("jobd_job_last_failure_timestamp_seconds", (("job_name", "backup"),)) not in found
    assert found["jobd_workers", (("state", "busy"),)] == 2
    assert found["jobd_config_last_reload_successful", ()] == 0
    assert found["jobd_definition_errors", ()] == 2
    assert found["jobd_start_time_seconds", ()] == NOW.timestamp()


def test_openmetrics_is_given_to_those_who_accept_it() -> None:
    made = metrics()
    made.take(finished())
    pieces, kind = made.render("application/openmetrics-text; version=1.0.0, text/plain;q=0.5")
    body = b"".join(pieces)
    assert kind.startswith("application/openmetrics-text")
    names = {family.name for family in read_open(body.decode())}
    assert {"jobd_build", "jobd_runs_finished", "jobd_queue_depth"} <= names


def test_others_may_have_a_turn_between_two_metrics() -> None:
    for accept in ("", "application/openmetrics-text"):
        pieces = list(metrics().render(accept)[0])
        assert len(pieces) > 20
        assert all(piece.count(b"# TYPE") <= 1 for piece in pieces)


def test_a_strange_accept_header_gets_plain_text() -> None:
    for accept in ("", "*/*", "text/plain;version=x.y;escaping=nonsense", ";;;,,,", "\xff"):
        pieces, kind = metrics().render(accept)
        body = b"".join(pieces)
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        assert b"jobd_build_info" in body


def test_only_defined_jobs_have_series_of_their_own() -> None:
    made = metrics()
    made.take(finished("adhoc"))
    made.take(finished("whatever-a-client-thinks-of"))
    made.take(events.CatalogChanged(NOW, ("new",), (), (), ()))
    made.take(finished("new"))
    shown = {dict(labels)["job_name"] for name, labels in values(made) if name == "jobd_runs_finished_total"}
    assert shown == {"adhoc", "other", "new"}


def test_the_series_of_a_removed_job_go_away() -> None:
    made = metrics()
    made.take(finished("backup"))
    made.take(finished("off"))
    made.take(events.CatalogChanged(NOW, (), (), ("backup",), ()))
    shown = {dict(labels)["job_name"] for name, labels in values(made) if name == "jobd_runs_finished_total"}
    assert shown == {"off"}


def test_a_run_cancelled_before_it_ran_counts_by_its_state_and_took_no_time() -> None:
    made = metrics()
    made.take(finished(outcome=None))
    found = values(made)
    labels = (("job_name", "backup"), ("outcome", "cancelled"), ("queue", "default"))
    assert found["jobd_runs_finished_total", labels] == 1
    assert ("jobd_run_duration_seconds_count", (("queue", "default"),)) not in found


def test_a_flood_of_names_ends_in_one_series_called_other() -> None:
    made = metrics()
    for number in range(MOST_SERIES + 500):
        made.take(events.RunAccepted(number, "backup", f"queue-{number}", Trigger.SUBMIT, NOW))
    shown = {labels: value for (name, labels), value in values(made).items() if name == "jobd_runs_submitted_total"}
    assert len(shown) == MOST_SERIES
    assert shown[(("queue", "other"),)] == 501


def test_a_name_that_is_none_never_becomes_a_label() -> None:
    made = metrics()
    made.take(events.RunAccepted(1, "backup", "\ud800\n{}", Trigger.SUBMIT, NOW))
    assert ("jobd_runs_submitted_total", (("queue", "other"),)) in values(made)


def test_more_jobs_than_fit_are_left_out_of_the_gauges() -> None:
    many = Figures(now=NOW, jobs={f"job-{n}": JobFigures(True, NOW, None) for n in range(MOST_SERIES * 2)})
    made = Metrics("0.1.0", NOW, lambda: many)
    shown = [labels for name, labels in values(made) if name == "jobd_job_next_run_timestamp_seconds"]
    assert len(shown) == MOST_SERIES


def test_a_histogram_has_fewer_series_since_each_has_many_lines() -> None:
    made = metrics()
    for number in range(MOST_SERIES):
        made.take(events.AttemptStarted(AttemptKey(1, 1), "backup", f"queue-{number}", NOW, 0.2))
    lines = [labels for name, labels in values(made) if name.startswith("jobd_run_wait_seconds")]
    assert MOST_SERIES * 0.9 < len(lines) <= MOST_SERIES
    assert values(made)["jobd_run_wait_seconds_count", (("queue", "other"),)] > 1000


def test_buckets_count_what_is_at_most_their_bound() -> None:
    made = metrics()
    for seconds in (0.001, 0.0010001, 299.0, 1e9):
        made.take(events.SlotDecided("backup", NOW, NOW, Disposition.STARTED, 1, lag_seconds=seconds))
    found = values(made)
    below = {
        bound: found["jobd_scheduler_lag_seconds_bucket", (("le", bound),)] for bound in ("0.001", "0.005", "300.0")
    }
    assert below == {"0.001": 1, "0.005": 2, "300.0": 3}
    assert found["jobd_scheduler_lag_seconds_bucket", (("le", "+Inf"),)] == 4


def test_both_formats_tell_the_same_numbers() -> None:
    made = metrics()
    made.take(finished(queue="email"))
    made.take(events.SlotDecided("backup", NOW, NOW, Disposition.STARTED, 1, lag_seconds=0.02))
    body = b"".join(made.render("application/openmetrics-text")[0]).decode()
    told = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read_open(body)
        for sample in family.samples
    }
    assert told == values(made) and len(told) > 50


def test_every_sentence_is_plain_so_that_it_needs_no_escaping() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"[ !#-\[\]-~]+", metric.text), metric.name
