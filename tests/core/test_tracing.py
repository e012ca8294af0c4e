"""Where spans stand in traces: the same ids for ever, none twice, and the share that is recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobd.core.trace import Trace, read_parent
from jobd.core.tracing import Traced, Tracer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = Traced(42, NOON, None, None)
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACER = Tracer("seed")


def test_ids_are_the_same_for_whoever_works_them_out() -> None:
    assert TRACER.of_run(RUN) == Tracer("seed").of_run(replace(RUN))
    assert TRACER.of_attempt(RUN, 2) == Tracer("seed").of_attempt(replace(RUN), 2)


@pytest.mark.parametrize(
    "other",
    [
        (Tracer("other"), RUN),  # another store's
        (TRACER, replace(RUN, run=43)),
        (TRACER, replace(RUN, created_at=NOON + timedelta(microseconds=1))),  # of a store that was restored
    ],
)
def test_no_two_runs_share_an_id(other: tuple[Tracer, Traced]) -> None:
    tracer, run = other
    ours, theirs = TRACER.of_run(RUN), tracer.of_run(run)
    assert ours.trace_id != theirs.trace_id and ours.span_id != theirs.span_id
    spans = [
        place.span_id for one in ((TRACER, RUN), other) for place in (one[0].of_attempt(one[1], n) for n in (1, 2))
    ]
    assert len({*spans, ours.span_id, theirs.span_id}) == 6


def test_a_run_that_is_renewed_has_another_span_in_the_same_trace() -> None:
    again = TRACER.of_run(replace(RUN, renewed_at=NOON + timedelta(hours=1)))
    first = TRACER.of_run(RUN)
    assert (again.trace_id, again.parent_id) == (first.trace_id, "") and again.span_id != first.span_id


def test_what_a_submitter_is_part_of_stands_above_its_run() -> None:
    run = replace(RUN, trace=Trace(PARENT, "a=b"))
    whole, attempt = TRACER.of_run(run), TRACER.of_attempt(run, 1)
    assert (whole.trace_id, whole.parent_id, whole.state) == (PARENT[3:35], PARENT[36:52], "a=b")
    assert (attempt.trace_id, attempt.parent_id) == (whole.trace_id, whole.span_id)
    assert attempt.trace == Trace(f"00-{whole.trace_id}-{attempt.span_id}-01", "a=b")
    assert read_parent(attempt.trace.parent) == attempt.trace.parent


def test_a_submitter_decides_for_its_trace_and_the_share_for_others() -> None:
    never = Tracer("seed", sample=0.0)
    assert never.of_run(replace(RUN, trace=Trace(PARENT))).is_sampled
    assert not TRACER.of_run(replace(RUN, trace=Trace(PARENT[:-2] + "00"))).is_sampled
    assert TRACER.of_attempt(RUN, 1).is_sampled and not never.of_attempt(RUN, 1).is_sampled
    half = Tracer("seed", sample=0.5)
    recorded = sum(half.of_run(replace(RUN, run=number)).is_sampled for number in range(1000))
    assert 400 < recorded < 600  # the ids are what they are: this comes out the same each time
