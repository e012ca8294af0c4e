"""What an edge decides, which runs a run brings along, and which definitions cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core import spec, workflow
from jobd.core.model import Command, Job, Workflow
from jobd.core.parents import Parent, read, results_text, to_text
from jobd.core.records import ParentRecord
from jobd.core.states import FINAL, Condition, Outcome, RunState
from jobd.core.workflow import MOST_DEPTH, MOST_MEMBERS, Tangled, broken, family, faults, holds


def job(name: str, **flow: Any) -> Job:
    return Job(name, Command(("true",)), workflow=Workflow(**{key: tuple(names) for key, names in flow.items()}))


def catalog(*jobs: Job) -> dict[str, Job]:
    return {one.name: one for one in jobs}


def drawn(root: str, *jobs: Job) -> list[tuple[str, list[tuple[str, str]]]]:
    """Members as (job, [(job waited for, condition)]), in order."""
    known = catalog(*jobs)
    members = family(known[root], known.get).members
    return [
        (one.job.name, [(members[place].job.name, str(condition)) for place, condition in one.parents])
        for one in members
    ]


@pytest.mark.parametrize(
    ("condition", "state", "expected"),
    [
        (Condition.SUCCESS, RunState.SUCCEEDED, True),
        (Condition.SUCCESS, RunState.FAILED, False),
        (Condition.FAILURE, RunState.FAILED, True),
        (Condition.FAILURE, RunState.SUCCEEDED, False),
        *((on, state, on is Condition.ALWAYS) for on in Condition
          for state in (RunState.CANCELLED, RunState.SKIPPED, RunState.EXPIRED)),
        (Condition.ALWAYS, RunState.SUCCEEDED, True),
        (Condition.ALWAYS, RunState.FAILED, True),
    ],
)  # fmt: skip
def test_a_final_state_holds_or_breaks_a_condition(condition: Condition, state: RunState, expected: bool) -> None:
    assert holds(condition, state) is expected


@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("state", sorted(set(RunState) - FINAL))
def test_nothing_is_decided_before_the_parent_has_ended(condition: Condition, state: RunState) -> None:
    assert holds(condition, state) is None


def test_the_reason_names_the_parent() -> None:
    assert (
        broken(Condition.SUCCESS, 7, "dump", RunState.FAILED) == "waited for the success of run 7 (dump), which failed"
    )
    assert broken(Condition.FAILURE, 7, "dump", RunState.CANCELLED).endswith("which was cancelled")


def test_then_catch_and_finally_each_wait_for_the_run_they_belong_to() -> None:
    jobs = job("a", then=["b"], catch=["c"], finally_=["d"]), job("b", then=["d"]), job("c"), job("d")
    assert drawn("a", *jobs) == [
        ("a", []),
        ("b", [("a", "success")]),
        ("d", [("b", "success")]),
        ("c", [("a", "failure")]),
        ("d", [("a", "always")]),
    ]


def test_a_chain_is_one_after_the_other_and_may_repeat_a_job() -> None:
    jobs = job("a", chain=["b", "c", "b"]), job("b"), job("c")
    assert drawn("a", *jobs) == [
        ("a", []),
        ("b", [("a", "success")]),
        ("c", [("b", "success")]),
        ("b", [("c", "success")]),
    ]


def test_two_chains_may_go_opposite_ways() -> None:
    jobs = catalog(job("x", chain=["a", "b"]), job("y", chain=["b", "a"]), job("a"), job("b"))
    assert list(faults(jobs)) == []


def test_what_several_need_is_made_once() -> None:
    """release needs build and test, test needs build: build runs once, and both wait for it."""
    jobs = job("release", needs=["build", "test"]), job("test", needs=["build"]), job("build")
    assert drawn("release", *jobs) == [
        ("release", [("build", "success"), ("test", "success")]),
        ("build", []),
        ("test", [("build", "success")]),
    ]


def test_a_need_named_twice_is_one_edge() -> None:
    assert drawn("a", job("a", needs=["b", "b"]), job("b"))[0] == ("a", [("b", "success")])


@pytest.mark.parametrize(
    ("jobs", "circle"),
    [
        ([job("a", then=["a"])], "a → a (then)"),
        ([job("a", then=["b"]), job("b", finally_=["a"])], "a → b (then) → a (finally)"),
        ([job("a", then=["b"]), job("b", needs=["a"])], "a → b (then) → a (needs)"),
        (
            [job("a", chain=["b"]), job("b", catch=["c"]), job("c", needs=["a"])],
            "a → b (chain) → c (catch) → a (needs)",
        ),
    ],
)
def test_a_circle_is_refused_and_spelled_out(jobs: list[Job], circle: str) -> None:
    found = list(faults(catalog(*jobs)))
    assert found[0].message == f"makes a circle: {circle}"
    assert {fault.job.name for fault in found} == {one.name for one in jobs}
    with pytest.raises(Tangled, match="circle"):
        family(jobs[0], catalog(*jobs).get)


def test_a_job_that_only_leads_into_a_circle_is_not_blamed_for_it() -> None:
    jobs = catalog(job("start", then=["a"]), job("a", then=["b"]), job("b", then=["a"]))
    assert {fault.job.name for fault in faults(jobs)} == {"a", "b"}


def test_an_unknown_name_is_refused_with_the_likely_one() -> None:
    jobs = catalog(job("backup", chain=["verify", "reprot"]), job("verify"), job("report"))
    (fault,) = faults(jobs)
    assert (str(fault.step), fault.message) == ("chain[1]", 'there is no job "reprot" (did you mean "report"?)')


def test_what_was_meant_is_looked_for_a_few_times_only() -> None:
    """Each look reads every name: a typing error in the defaults of ten thousand jobs must not stop the daemon."""
    jobs = catalog(*(job(f"j{n}", then=[f"jobb{n}"]) for n in range(30)))
    assert sum("did you mean" in fault.message for fault in faults(jobs)) <= 20


def test_a_family_is_bounded_in_number_and_depth() -> None:
    doubling = [job(f"j{n}", then=[f"j{n + 1}"] * 2) for n in range(20)] + [job("j20")]
    with pytest.raises(Tangled, match=f"more than {MOST_MEMBERS} runs"):
        family(doubling[0], catalog(*doubling).get)
    deep = [job(f"j{n}", then=[f"j{n + 1}"]) for n in range(MOST_DEPTH + 1)] + [job(f"j{MOST_DEPTH + 1}")]
    with pytest.raises(Tangled, match=f"more than {MOST_DEPTH} deep"):
        family(deep[0], catalog(*deep).get)
    assert len(family(deep[1], catalog(*deep).get).members) == MOST_DEPTH + 1


def test_a_lattice_of_needs_stays_small() -> None:
    layers = [
        [job(f"l{n}.{m}", needs=[f"l{n - 1}.{k}" for k in range(4)] if n else []) for m in range(4)] for n in range(8)
    ]
    jobs = [one for layer in layers for one in layer]
    assert len(family(jobs[-1], catalog(*jobs).get).members) == 4 * 7 + 1


def test_without_a_job_that_follows_the_rest_is_still_made() -> None:
    known = catalog(job("a", then=["gone"], chain=["b", "gone", "c"], needs=["d"]), job("b"), job("c"), job("d"))
    found = family(known["a"], known.get)
    assert [one.job.name for one in found.members] == ["a", "d", "b"]
    assert [str(step) for _, step in found.missing] == ["then[0]", "chain[1]"]
    assert found.lacking == ()


def test_without_a_job_it_needs_a_run_can_never_start() -> None:
    known = catalog(job("a", needs=["gone"]))
    assert family(known["a"], known.get).lacking == ((0, 'needs the job "gone", which is not there'),)


NAMES = [f"j{n}" for n in range(6)]


LINK = st.tuples(st.sampled_from(["then", "catch", "finally_", "chain", "needs"]), st.sampled_from(NAMES))


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(LINK, max_size=4), min_size=6))
def test_a_family_never_waits_for_itself(links: dict[str, list[tuple[str, str]]]) -> None:
    jobs = catalog(*(
        job(name, **{key: [to for kind, to in found if kind == key] for key in {kind for kind, _ in found}})
        for name, found in links.items()
    ))  # fmt: skip
    refused = {fault.job.name for fault in faults(jobs)}
    for one in jobs.values():
        try:
            members = family(one, jobs.get).members
        except Tangled as tangled:
            assert refused, str(tangled)
            continue
        waits = {place: {parent for parent, _ in member.parents} for place, member in enumerate(members)}
        ended: set[int] = set()
        while ready := {place for place in waits if place not in ended and waits[place] <= ended}:
            ended |= ready
        assert len(ended) == len(members), "some run waits for itself"


def test_a_definition_keeps_its_workflow_as_text() -> None:
    whole = job("a", then=["b"], catch=["c"], finally_=["d"], chain=["e", "f"], needs=["g"])
    assert spec.from_text(spec.to_text(whole)) == whole
    assert spec.from_text('{"name": "old", "action": {"kind": "shell", "text": "true"}}').workflow == Workflow()


def record(run: int, name: str, result: str | None) -> ParentRecord:
    return ParentRecord(run, name, RunState.SUCCEEDED, Outcome.SUCCEEDED, None, result)


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ([], None),
        ([record(7, "dump", '{"rows": 3}')], '{"rows": 3}'),
        ([record(7, "dump", None)], "null"),
        ([record(7, "dump", '"ä"'), record(8, "count", "3")], '{"dump": "ä", "count": 3}'),
        ([record(7, "dump", "1"), record(8, "dump", "2"), record(9, "count", "3")], '{"7": 1, "8": 2, "count": 3}'),
    ],
)
def test_one_result_is_handed_on_as_it_is_and_several_by_name(
    parents: list[ParentRecord], expected: str | None
) -> None:
    text = to_text(parents)
    assert results_text(text) == expected
    if parents:
        assert read(text)[0] == Parent(7, "dump", "succeeded", "succeeded", None, read(text)[0].result)


def test_steps_are_in_the_order_in_which_their_runs_are_made() -> None:
    whole = job("a", then=["b"], needs=["c"], finally_=["d"])
    assert [str(step) for step in workflow.steps(whole)] == ["needs[0]", "then[0]", "finally[0]"]
