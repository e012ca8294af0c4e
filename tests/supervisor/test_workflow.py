"""Runs that wait for runs: made together, decided in the transaction of their parent's end, opened again by a retry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobd.core.errors import Conflict, NotFound, TooLarge
from jobd.core.events import RunFinished
from jobd.core.intents import Actor, RetryDead, Submit
from jobd.core.model import Dependency, Job, RetryPolicy, Workflow
from jobd.core.parents import read
from jobd.core.records import DeadFilter
from jobd.core.roles import Role
from jobd.core.states import Condition, Outcome, RunState
from tests.examples import examples
from tests.supervisor.stage import ANN, Stage, every_minute, job
from tests.supervisor.stage import stage as opened

ONCE = RetryPolicy(max_attempts=1)
MINUTE = timedelta(minutes=1)


def flow(name: str, **names: Any) -> Job:
    return job(name, retry=ONCE, workflow=Workflow(**{key: tuple(value) for key, value in names.items()}))


def with_flow(definition: Job, **names: Any) -> Job:
    return replace(definition, workflow=Workflow(**names))


def states(stage: Stage, *runs: int) -> list[str]:
    return [str(stage.run(run).state) for run in runs]


def end(stage: Stage, run: int, outcome: Outcome = Outcome.SUCCEEDED, **more: Any) -> None:
    (key,) = [key for key in stage.workers.at_work if key.run == run]
    stage.report(key, outcome, **more)


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    with opened(tmp_path, seats=8) as made:
        yield made


def test_children_are_made_with_their_parent_and_wait(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"], catch=["c"], finally_=["d"]), *map(flow, "bcd"))
    (a,) = stage.submit(flow("a"))
    b, c, d = a + 1, a + 2, a + 3
    assert states(stage, a, b, c, d) == ["running", "blocked", "blocked", "blocked"]
    child = stage.run(b)
    assert (child.job, child.trigger, child.parent, child.owner) == ("b", "workflow", a, "ann")
    assert stage.run(a).parent is None


def test_success_lets_then_and_finally_go_and_cancels_catch(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"], catch=["c"], finally_=["d"]), *map(flow, "bcd"))
    (a,) = stage.submit(flow("a"))
    end(stage, a)
    assert states(stage, a, a + 1, a + 2, a + 3) == ["succeeded", "running", "cancelled", "running"]
    assert stage.run(a + 2).error == f"waited for the failure of run {a} (a), which succeeded"
    assert [event.run for event in stage.events if isinstance(event, RunFinished)] == [a, a + 2]


def test_only_the_final_failure_counts(stage: Stage) -> None:
    stage.adopt(job("a", retry=RetryPolicy(max_attempts=2), workflow=Workflow(("b",), ("c",))), flow("b"), flow("c"))
    (a,) = stage.submit(job("a"))
    end(stage, a, Outcome.FAILED)
    assert states(stage, a, a + 1, a + 2) == ["retrying", "blocked", "blocked"]
    stage.pass_by(MINUTE)
    end(stage, a, Outcome.FAILED)
    assert states(stage, a, a + 1, a + 2) == ["failed", "cancelled", "running"]


def test_a_cancelled_child_decides_its_own_children(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"]), flow("b", then=["c"], finally_=["d"], catch=["e"]), *map(flow, "cde"))
    (a,) = stage.submit(flow("a"))
    end(stage, a, Outcome.FAILED)
    assert states(stage, *range(a, a + 5)) == ["failed", "cancelled", "cancelled", "cancelled", "running"]
    assert [stage.run(run).job for run in range(a, a + 5)] == ["a", "b", "c", "e", "d"]


def test_a_run_waits_for_everything_it_needs(stage: Stage) -> None:
    stage.adopt(flow("a", needs=["b", "c"]), flow("b"), flow("c"))
    (a,) = stage.submit(flow("a"))
    assert states(stage, a, a + 1, a + 2) == ["blocked", "running", "running"]
    end(stage, a + 1)
    assert states(stage, a) == ["blocked"]
    end(stage, a + 2)
    assert states(stage, a) == ["running"]


def test_one_failed_need_cancels_the_run_and_leaves_the_others_alone(stage: Stage) -> None:
    stage.adopt(flow("a", needs=["b", "c"]), flow("b"), flow("c"))
    (a,) = stage.submit(flow("a"))
    end(stage, a + 1, Outcome.FAILED)
    assert states(stage, a, a + 1, a + 2) == ["cancelled", "failed", "running"]
    end(stage, a + 2)
    assert states(stage, a) == ["cancelled"]


def test_a_fired_run_waits_for_what_it_needs_and_overlap_sees_it_waiting(stage: Stage) -> None:
    fired = every_minute("a")
    stage.adopt(
        Job(**{f: getattr(fired, f) for f in fired.__slots__} | {"workflow": Workflow(needs=("b",))}), flow("b")
    )
    stage.pass_by(MINUTE)
    assert states(stage, 1, 2) == ["blocked", "running"]
    stage.pass_by(MINUTE)
    assert [what for _, what in stage.slots("a")] == ["started", "skipped"]
    end(stage, 2)
    assert states(stage, 1) == ["running"]


def test_a_child_with_a_later_time_is_scheduled_when_it_is_let_go(stage: Stage) -> None:
    stage.adopt(flow("a"))
    (a,) = stage.submit(flow("a"))
    (b,) = stage.submit(flow("a"), depends_on=(Dependency(a),), run_at=stage.clock.now() + MINUTE)
    assert states(stage, b) == ["blocked"]
    end(stage, a)
    assert states(stage, b) == ["scheduled"]
    stage.pass_by(MINUTE)
    assert states(stage, b) == ["running"]


def test_what_a_scheduled_run_needs_starts_when_the_run_may(stage: Stage) -> None:
    stage.adopt(flow("a", needs=["b"]), flow("b"))
    (a,) = stage.submit(flow("a"), run_at=stage.clock.now() + MINUTE)
    assert states(stage, a, a + 1) == ["blocked", "scheduled"]


@pytest.mark.parametrize(
    ("outcome", "on", "expected"),
    [
        (Outcome.SUCCEEDED, Condition.SUCCESS, "running"),
        (Outcome.SUCCEEDED, Condition.FAILURE, "cancelled"),
        (Outcome.FAILED, Condition.FAILURE, "running"),
        (Outcome.FAILED, Condition.ALWAYS, "running"),
        (Outcome.FAILED, Condition.SUCCESS, "cancelled"),
    ],
)
def test_a_parent_that_has_ended_decides_at_once(
    stage: Stage, outcome: Outcome, on: Condition, expected: str
) -> None:  # fmt: skip
    stage.adopt(flow("a"))
    (a,) = stage.submit(flow("a"))
    end(stage, a, outcome)
    (b,) = stage.submit(flow("a"), depends_on=(Dependency(a, on),))
    assert states(stage, b) == [expected]


def test_an_unknown_parent_refuses_the_whole_submission(stage: Stage) -> None:
    stage.adopt(flow("a"))
    requests = (stage.request(flow("a")), stage.request(flow("a"), depends_on=(Dependency(99),)))
    with pytest.raises(NotFound, match="there is no run 99"):
        stage.ask(Submit(ANN, requests)).result()
    assert stage.history.run(1) is None


def test_a_kept_duplicate_makes_no_second_family(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"]), flow("b"))
    (a,) = stage.submit(flow("a"), key="once")
    assert stage.submit(flow("a"), key="once") == [a]
    assert stage.history.run(a + 2) is None


def test_a_family_counts_against_what_its_submitter_may_have_waiting(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"] * 400), flow("b"))
    with pytest.raises(TooLarge, match="1000 runs waiting at most"):
        stage.submit(flow("a"), 3)
    assert stage.history.run(1) is None


def test_a_submission_is_bounded_in_what_it_waits_for(stage: Stage) -> None:
    stage.adopt(flow("a"))
    much = tuple(Dependency(run) for run in range(1, 1001))
    with pytest.raises(TooLarge, match="names 21000 runs in all"):
        stage.submit(flow("a"), 21, depends_on=much)


def test_a_child_that_is_cancelled_by_hand_stays_so(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"]), flow("b", then=["c"]), flow("c"))
    (a,) = stage.submit(flow("a"))
    assert stage.cancel(a + 1) is RunState.CANCELLED
    assert states(stage, a + 1, a + 2) == ["cancelled", "cancelled"]
    end(stage, a)
    assert states(stage, a + 1) == ["cancelled"]


def test_cancelling_a_parent_cancels_what_cannot_hold_any_more(stage: Stage) -> None:
    stage.adopt(flow("x", needs=["a"]), flow("a", then=["b"], catch=["c"], finally_=["d"]), *map(flow, "bcd"))
    (x,) = stage.submit(flow("x"))
    a = x + 1
    stage.cancel(a)
    end(stage, a, Outcome.CANCELLED)
    assert [(stage.run(run).job, str(stage.run(run).state)) for run in range(x, x + 5)] == [
        ("x", "cancelled"), ("a", "cancelled"), ("b", "cancelled"), ("c", "cancelled"), ("d", "running"),
    ]  # fmt: skip


def test_a_disabled_job_is_skipped_and_only_always_goes_on(stage: Stage) -> None:
    off = Job("b", flow("b").action, enabled=False, workflow=Workflow(then=("c",), finally_=("d",)))
    stage.adopt(flow("a", then=["b"]), off, flow("c"), flow("d"))
    (a,) = stage.submit(flow("a"))
    assert states(stage, *range(a, a + 4)) == ["running", "skipped", "cancelled", "running"]
    assert stage.run(a + 1).error == "b is disabled"
    end(stage, a)
    assert states(stage, a + 1) == ["skipped"]


def test_results_are_handed_to_the_child(stage: Stage) -> None:
    stage.adopt(flow("a", needs=["b", "c"]), flow("b"), flow("c"))
    (a,) = stage.submit(flow("a"))
    end(stage, a + 1, result={"rows": 3})
    end(stage, a + 2)
    order = stage.workers.orders[-1]
    assert order.key.run == a
    assert [(one.run, one.job, one.state, one.result) for one in read(order.parents)] == [
        (a + 1, "b", "succeeded", {"rows": 3}),
        (a + 2, "c", "succeeded", None),
    ]


def test_another_users_result_is_not_handed_over(stage: Stage) -> None:
    stage.adopt(flow("a"))
    (a,) = stage.submit(flow("a"))
    end(stage, a, result="secret")
    for actor, expected in (
        (Actor(1, 1, 1, "bob", role=Role.SUBMITTER), None),
        (ANN, "secret"),
        (Actor(0, 0, 1, "root", role=Role.ADMIN), "secret"),
    ):
        request = stage.request(flow("a"), depends_on=(Dependency(a),), owner=actor.user)
        stage.ask(Submit(actor, (request,))).result()
        (parent,) = read(stage.workers.orders[-1].parents)
        assert parent.result == expected


def test_results_too_large_to_hand_on_fail_the_child(stage: Stage) -> None:
    stage.adopt(flow("a", needs=[f"n{n}" for n in range(6)]), *(flow(f"n{n}") for n in range(6)))
    (a,) = stage.submit(flow("a"))
    for need in range(a + 1, a + 7):
        end(stage, need, result="x" * 1_000_000)
    stage.tick()
    assert states(stage, a) == ["failed"]
    assert "more than the 4MiB" in (stage.run(a).error or "")


# Retry


def test_a_retry_opens_what_was_cancelled_for_it_and_theirs(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"], catch=["c"]), flow("b", then=["d"], finally_=["e"]), *map(flow, "cde"))
    (a,) = stage.submit(flow("a"))
    b, d, e, c = range(a + 1, a + 5)
    end(stage, a, Outcome.FAILED)
    assert states(stage, b, d, e, c) == ["cancelled", "cancelled", "running", "running"]
    end(stage, e)
    end(stage, c)
    stage.retry(a)
    assert states(stage, a, b, d, e, c) == ["running", "blocked", "blocked", "succeeded", "succeeded"]
    assert (stage.run(b).error, stage.run(b).finished_at) == (None, None)
    end(stage, a)
    end(stage, b)
    end(stage, d)
    assert states(stage, a, b, d, e, c) == ["succeeded"] * 5
    assert (stage.run(e).attempts, stage.run(c).attempts) == (1, 1)


def test_a_child_of_two_failed_parents_is_opened_by_the_last_retry(stage: Stage) -> None:
    stage.adopt(flow("a", needs=["b", "c"]), flow("b"), flow("c"))
    (a,) = stage.submit(flow("a"))
    end(stage, a + 1, Outcome.FAILED)
    end(stage, a + 2, Outcome.FAILED)
    stage.retry(a + 1)
    assert states(stage, a) == ["cancelled"]
    stage.retry(a + 2)
    assert states(stage, a) == ["blocked"]
    end(stage, a + 2)
    end(stage, a + 1)
    assert states(stage, a) == ["running"]


def test_a_child_cancelled_by_hand_is_not_opened_by_its_parents_retry(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"]), flow("b"))
    (a,) = stage.submit(flow("a"))
    stage.cancel(a + 1)
    end(stage, a, Outcome.FAILED)
    stage.retry(a)
    assert states(stage, a + 1) == ["cancelled"]


def test_what_held_for_a_cancelled_child_is_decided_anew_with_the_parent_that_is_tried_again(stage: Stage) -> None:
    one, other, child = (flow(name) for name in "abc")
    stage.adopt(one, other, child)
    a, b = stage.submit(one)[0], stage.submit(other)[0]
    waits = (Dependency(a), Dependency(b, Condition.FAILURE))
    (c,) = stage.submit(child, depends_on=waits, parent=a)
    end(stage, a, Outcome.FAILED)
    end(stage, b, Outcome.FAILED)
    for run in (b, a):
        stage.retry(run)
        end(stage, run)
    assert states(stage, a, b, c) == ["succeeded", "succeeded", "cancelled"]


def test_a_child_that_is_opened_again_stands_under_the_limit_its_job_has_now(stage: Stage) -> None:
    parent, child = flow("a", then=["b", "b"]), flow("b")
    stage.adopt(parent, child)
    (a,) = stage.submit(parent)
    end(stage, a, Outcome.FAILED)
    stage.adopt(parent, replace(child, max_running=1))
    stage.retry(a)
    end(stage, a)
    assert sorted(states(stage, a + 1, a + 2)) == ["queued", "running"]


def test_an_operator_may_let_a_cancelled_child_go_all_the_same(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"]), flow("b"))
    (a,) = stage.submit(flow("a"))
    end(stage, a, Outcome.FAILED)
    assert stage.retry(a + 1) is RunState.QUEUED
    end(stage, a + 1)
    stage.retry(a)
    end(stage, a)
    assert states(stage, a, a + 1) == ["succeeded", "succeeded"]
    assert stage.run(a + 1).attempts == 1


def test_a_child_cancelled_by_hand_waits_again_when_it_is_retried(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"]), flow("b"))
    (a,) = stage.submit(flow("a"))
    stage.cancel(a + 1)
    assert stage.retry(a + 1) is RunState.BLOCKED
    end(stage, a)
    assert states(stage, a + 1) == ["running"]


def test_retrying_dead_letters_opens_what_was_cancelled_for_them(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"]), flow("b"))
    (a,) = stage.submit(flow("a"))
    end(stage, a, Outcome.FAILED)
    assert stage.ask(RetryDead(ANN, DeadFilter(job="a"))).result().runs == (a,)
    assert states(stage, a, a + 1) == ["running", "blocked"]


def test_what_a_schedule_brings_along_has_one_attempt_and_what_a_client_does_has_three(stage: Stage) -> None:
    stage.adopt(with_flow(every_minute("a"), then=("b",)), job("b"))
    stage.pass_by(MINUTE)
    assert [stage.run(run).max_attempts for run in (1, 2)] == [1, 1]
    end(stage, 1)
    (again,) = stage.submit(job("a"))
    assert [stage.run(run).max_attempts for run in (again, again + 1)] == [3, 3]


# Definitions that went away, or cannot be


def test_a_submit_says_which_job_is_not_there_any_more(stage: Stage) -> None:
    stage.adopt(flow("a", then=["gone"]))
    with pytest.raises(Conflict, match='a names "gone" in then'):
        stage.submit(flow("a"))


@pytest.mark.parametrize(("key", "state"), [("then", "running"), ("needs", "cancelled")])
def test_a_slot_does_without_a_job_that_is_not_there_any_more(stage: Stage, key: str, state: str) -> None:
    stage.adopt(with_flow(every_minute("a"), **{key: ("gone",)}))
    stage.pass_by(MINUTE)
    assert states(stage, 1) == [state]
    stage.pass_by(MINUTE)
    assert len(stage.slots("a")) == 2


def test_a_circle_that_came_into_force_all_the_same_makes_no_endless_runs(stage: Stage) -> None:
    stage.adopt(with_flow(every_minute("a"), then=("b",)), flow("b", then=["a"]))
    with pytest.raises(Conflict, match=r"makes a circle: b → a \(then\) → b \(then\)"):
        stage.submit(flow("b"))
    stage.pass_by(MINUTE)
    assert (states(stage, 1), stage.run(1).error) == (
        ["cancelled"],
        "its workflow makes a circle: a → b (then) → a (then)",
    )
    assert stage.history.run(2) is None


# Crash


def test_nothing_between_a_parents_end_and_its_childs_release_is_ever_seen(stage: Stage) -> None:
    stage.adopt(flow("a", then=["b"]), flow("b"))
    (a,) = stage.submit(flow("a"))
    end(stage, a)
    stage.again()
    assert states(stage, a, a + 1) == ["succeeded", "running"]
    assert [key.run for key in stage.workers.given] == []  # it started before, and is for recovery to judge


# The model


@dataclass
class Model:
    """What is to become of runs, by the words of SEMANTICS.md and nothing else."""

    waits: list[list[tuple[int, Condition]]]
    state: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    by_parent: set[int] = field(default_factory=set)
    """Cancelled because of a parent, not by hand."""
    waived: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state = ["blocked" if waits else "running" for waits in self.waits]
        self.starts = [int(state == "running") for state in self.state]

    def end(self, run: int, state: str) -> None:
        self.state[run] = state
        for child in self._children(run):
            if self.state[child] == "blocked":
                self._decide(child)

    def retry(self, run: int) -> None:
        self.by_parent.discard(run)
        self.waived |= {(parent, run) for parent, verdict in self._verdicts(run) if verdict is False}
        if any(verdict is None for _, verdict in self._verdicts(run)):
            self.state[run] = "blocked"
        else:
            self._start(run)
        self._reopen(run)

    def _children(self, run: int) -> list[int]:
        return [child for child, waits in enumerate(self.waits) if run in [parent for parent, _ in waits]]

    def _decide(self, child: int) -> None:
        verdicts = [verdict for _, verdict in self._verdicts(child)]
        if False in verdicts:
            self.by_parent.add(child)
            self.end(child, "cancelled")
        elif None not in verdicts:
            self._start(child)

    def _start(self, run: int) -> None:
        self.state[run] = "running"
        self.starts[run] += 1

    def _reopen(self, run: int) -> None:
        for child in self._children(run):
            if child in self.by_parent and not any(verdict is False for _, verdict in self._verdicts(child)):
                self.by_parent.discard(child)
                self.state[child] = "blocked"
                self._reopen(child)

    def _verdicts(self, child: int) -> list[tuple[int, bool | None]]:
        """What each parent that counts says: let it go, never, or (None) not yet."""
        return [
            (parent, self._verdict(self.state[parent], on))
            for parent, on in self.waits[child]
            if (parent, child) not in self.waived
        ]

    @staticmethod
    def _verdict(state: str, on: Condition) -> bool | None:
        if state in ("blocked", "running"):
            return None
        return on is Condition.ALWAYS or state == {"success": "succeeded", "failure": "failed"}[on]


@st.composite
def graphs(draw: st.DrawFn) -> list[list[tuple[int, Condition]]]:
    found: list[list[tuple[int, Condition]]] = []
    for run in range(draw(st.integers(2, 9))):
        parents = draw(st.lists(st.integers(0, run - 1), max_size=3, unique=True)) if run else []
        found.append([(parent, draw(st.sampled_from(Condition))) for parent in parents])
    return found


ENDS = st.sampled_from(
    [
        (Outcome.SUCCEEDED, "succeeded"),
        (Outcome.FAILED, "failed"),
        (Outcome.TIMEOUT, "failed"),
        (Outcome.CANCELLED, "cancelled"),
    ]
)


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(waits=graphs(), data=st.data())
def test_whatever_the_graph_each_run_is_let_go_once_or_ended_with_its_parents(
    tmp_path_factory: pytest.TempPathFactory, waits: list[list[tuple[int, Condition]]], data: st.DataObject
) -> None:
    """I21: after every commit each run is as the model says, so nothing is decided later than its parent's end.

    It starts once for each time that it was let go or retried.
    """
    with opened(tmp_path_factory.mktemp("graph"), seats=16) as stage:
        stage.adopt(flow("a"))
        for parents in waits:
            dependencies = tuple(Dependency(parent + 1, on) for parent, on in parents)
            stage.submit(flow("a"), depends_on=dependencies)
        model = Model(waits)
        check(stage, model)
        for _ in range(40):
            if "running" not in model.state:
                break
            run = data.draw(st.sampled_from([n for n, state in enumerate(model.state) if state == "running"]))
            outcome, state = data.draw(ENDS)
            commits = seen(stage)
            end(stage, run + 1, outcome)
            model.end(run, state)
            check(stage, model)
            assert commits() <= 1, "in one transaction"
            if data.draw(st.booleans()):
                meddle(stage, model, data)


def meddle(stage: Stage, model: Model, data: st.DataObject) -> None:
    """Cancel a run that waits, or retry one that failed or was cancelled, where there is one."""
    wanted = data.draw(st.sampled_from([("blocked",), ("failed", "cancelled")]))
    found = [n for n, state in enumerate(model.state) if state in wanted]
    if not found:
        return
    run = data.draw(st.sampled_from(found))
    if wanted == ("blocked",):
        stage.cancel(run + 1)
        model.end(run, "cancelled")
    else:
        stage.retry(run + 1)
        model.retry(run)
    check(stage, model)


def seen(stage: Stage) -> Any:
    """How many commits there have been since now that another connection would have seen."""
    other = apsw.Connection(str(stage.directory / "jobd.db"), flags=apsw.SQLITE_OPEN_READONLY)
    before = other.pragma("data_version")
    return lambda: other.pragma("data_version") - before


def check(stage: Stage, model: Model) -> None:
    runs: Sequence[int] = range(1, len(model.state) + 1)
    assert states(stage, *runs) == model.state
    assert [stage.run(run).attempts for run in runs] == model.starts
