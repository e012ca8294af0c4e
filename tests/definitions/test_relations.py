"""Workflows over all files: unknown names and circles are refused with their place, and what works goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobd.definitions.check import check
from jobd.definitions.library import NO_PATIENCE, Library
from jobd.definitions.work import json_schema
from tests.definitions.builders import job, old, problems, read
from tests.definitions.test_library import Scene


def said(directory: Path) -> list[str]:
    return [str(problem).replace(f"{directory}/", "") for problem in check([str(directory)]).problems]


def test_every_key_of_a_workflow_is_read() -> None:
    text = job("a", "then: b", "catch: [c]", "finally: [d, e]", "chain: [f, g]", "needs: [h]")
    flow = read(text)["a"].job.workflow
    assert (flow.then, flow.catch, flow.finally_, flow.chain, flow.needs) == (
        ("b",), ("c",), ("d", "e"), ("f", "g"), ("h",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("finaly: [a]", 'f.yaml:4:5: jobs.a.finaly: unknown key, did you mean "finally"?'),
        ("then: [a, b c]", 'f.yaml:4:15: jobs.a.then[1]: "b c" is not a name'),
        ("needs: {a: b}", "f.yaml:4:5: jobs.a.needs: a mapping is not a list"),
    ],
)
def test_a_word_that_makes_no_sense_is_refused_with_its_place(line: str, expected: str) -> None:
    (problem,) = problems(job("a", line))
    assert problem.startswith(expected)


def test_the_schema_for_editors_knows_the_keys() -> None:
    known = json_schema()["$defs"]["Job"]["properties"]
    assert {"then", "catch", "finally", "chain", "needs"} <= known.keys()


def test_an_unknown_name_is_refused_with_its_place_and_a_suggestion(tmp_path: Path) -> None:
    old(tmp_path / "a.yaml", job("backup", "then: [verfy]"))
    old(tmp_path / "b.yaml", job("verify"))
    assert said(tmp_path) == ['a.yaml:4:5: jobs.backup.then[0]: there is no job "verfy" (did you mean "verify"?)']


def test_a_circle_over_files_is_told_of_each_job_on_it(tmp_path: Path) -> None:
    old(tmp_path / "a.yaml", job("a", "then: [b]"))
    old(tmp_path / "b.yaml", job("b", "needs: [a]"))
    assert said(tmp_path) == [
        "a.yaml:4:5: jobs.a.then[0]: makes a circle: a → b (then) → a (needs)",
        "b.yaml:4:5: jobs.b.needs[0]: makes a circle: b → a (needs) → b (then)",
    ]


def test_what_leads_into_a_refused_job_is_refused_with_it(tmp_path: Path) -> None:
    old(tmp_path / "a.yaml", job("a", "then: [b]"))
    old(tmp_path / "b.yaml", job("b", "then: [b]"))
    assert said(tmp_path) == [
        'a.yaml:4:5: jobs.a.then[0]: names "b", which is refused itself',
        "b.yaml:4:5: jobs.b.then[0]: makes a circle: b → b (then)",
    ]


def test_a_file_on_its_own_may_name_jobs_of_others(tmp_path: Path) -> None:
    path = old(tmp_path / "a.yaml", job("backup", "then: [verify]"))
    verdict = check([str(path)])
    assert verdict.problems == ()
    assert [one.message for one in verdict.warnings] == ['there is no job "verify" (jobd-ctl jobs lists them)']


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(tmp_path)
    made.write("a.yaml", job("backup", "then: [verify]", "nice: 1"))
    made.write("b.yaml", job("verify"))
    assert made.settle().problems == ()
    return made


def test_a_job_stays_in_force_when_the_one_that_follows_it_goes_away(scene: Scene) -> None:
    (scene.path / "b.yaml").unlink()
    catalog = scene.settle()
    assert catalog.jobs.keys() == {"backup"}
    assert [problem.path for problem in catalog.problems] == ["jobs.backup.then[0]"]
    scene.write("b.yaml", job("verify"))
    assert scene.settle().problems == ()


def test_a_change_that_names_nobody_keeps_the_job_as_it_was(scene: Scene) -> None:
    scene.write("a.yaml", job("backup", "then: [verfy]", "nice: 2"))
    catalog = scene.settle()
    assert catalog.jobs["backup"].job.nice == 1
    assert len(catalog.problems) == 1


def test_a_change_that_closes_a_circle_keeps_every_job_as_it_was(scene: Scene) -> None:
    scene.write("b.yaml", job("verify", "then: [backup]", "nice: 5"))
    catalog = scene.settle()
    assert len(catalog.problems) == 2
    assert (catalog.jobs["backup"].job.nice, catalog.jobs["verify"].job.nice) == (1, 0)
    assert catalog.jobs["verify"].job.workflow.then == ()


def test_after_a_restart_the_job_is_still_in_force(scene: Scene) -> None:
    before = scene.library.catalog.jobs["backup"]
    (scene.path / "b.yaml").unlink()
    library = Library([str(scene.path)], patience=NO_PATIENCE)
    found = library.rescan()
    assert found.jobs.keys() == set()
    assert library.remember([before]).jobs.keys() == {"backup"}


def test_a_drop_in_may_take_a_workflow_away() -> None:
    drop_in = "jobs: {a: {then: null}}\n"
    assert read(job("a", "then: [b]"), drop_in)["a"].job.workflow.then == ()
