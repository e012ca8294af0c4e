"""What jobd was at outlives it, and what it died of twice is not done a third time, while all else goes on (G4)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jobd.core.states import RunState
from jobd.core.suspects import Step, Work
from jobd.definitions.defined import Defined
from jobd.definitions.library import NO_PATIENCE, Library
from jobd.supervisor.quarantine import Quarantine
from tests.supervisor.stage import Stage, every_minute, job

DYING = """
import os, sys
from jobd.supervisor.quarantine import Quarantine
page = Quarantine(sys.argv[1])
page.reads("/etc/jobd/jobs.d/poison.yaml", "abc")
if sys.argv[2] == "lives":
    page.clear()
os.kill(os.getpid(), 9)
"""


def test_what_was_under_way_is_known_after_kill_9_and_nothing_is_once_it_is_done(tmp_path: Path) -> None:
    path = str(tmp_path / "underway")
    subprocess.run([sys.executable, "-c", DYING, path, "dies"], check=False)
    assert Quarantine(path).left() == Step(Work.READ, "/etc/jobd/jobs.d/poison.yaml", "abc")
    subprocess.run([sys.executable, "-c", DYING, path, "lives"], check=False)
    assert Quarantine(path).left() is None


def test_a_file_that_jobd_died_of_twice_is_a_problem_until_it_says_something_else(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.d"
    jobs.mkdir()
    (jobs / "fine.yaml").write_text("jobs: {fine: {command: 'true'}}\n")
    (jobs / "poison.yaml").write_text("jobs: {poison: {command: 'true'}}\n")
    guard = _Condemning(str(jobs / "poison.yaml"))
    library = Library([str(jobs)], guard=guard, patience=NO_PATIENCE)
    catalog = library.rescan()
    assert list(catalog.jobs) == ["fine"]
    assert [str(one) for one in catalog.problems] == [
        f"{jobs}/poison.yaml:1:1: is quarantined: jobd died 2 times in a row while reading this file "
        "(change the definition)"
    ]
    (jobs / "poison.yaml").write_text("jobs: {poison: {command: 'false'}}\n")
    catalog = library.rescan()
    assert (set(catalog.jobs), catalog.problems) == ({"fine", "poison"}, ())


class _Condemning(Quarantine):
    """Died twice of a file as it is when it is read first."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file: str | None = file

    def reads(self, file: str, digest: str) -> str | None:
        if file == self._file:
            self._file, self._barred = None, frozenset({Step(Work.READ, file, digest)})
        return super().reads(file, digest)


def _die_twice(stage: Stage, quarantine: Quarantine) -> None:
    for _ in range(2):
        quarantine._is_marked = True
        with stage.writer.transaction(stage.clock.now()) as tx:
            assert quarantine.judge(tx, stage.clock.now(), "1.0") is not None


def test_slots_that_jobd_died_of_are_not_planned_and_others_are(engine: Stage) -> None:
    quarantine = engine.engine.rules.quarantine
    poison, fine = every_minute("poison"), every_minute("fine")
    engine.adopt(fine)
    assert quarantine.plans(Defined(poison, "jobs.yaml", 1, 1, "{}", "")) is None
    _die_twice(engine, quarantine)
    engine.adopt(poison, fine)
    in_force = engine.engine.rules.in_force
    assert in_force["poison"].timetable is None and in_force["fine"].timetable is not None
    assert "quarantined" in (quarantine.objects(in_force["poison"].defined) or "")
    mended = replace(in_force["poison"].defined, document_text='{"schedule": "*/2 * * * *"}')
    assert quarantine.objects(mended) is None
    engine.pass_by(timedelta(minutes=2))
    assert engine.slots("poison") == [] and len(engine.slots("fine")) == 2


def test_runs_whose_start_jobd_died_of_fail_for_good_with_the_reason_and_others_start(engine: Stage) -> None:
    engine.adopt(job("poison"), job("fine"))
    quarantine = engine.engine.rules.quarantine
    assert quarantine.starts("poison", engine.engine.rules.in_force["poison"].ref.spec) is None
    _die_twice(engine, quarantine)
    ((deadly,), (harmless,)) = engine.submit(job("poison")), engine.submit(job("fine"))
    engine.tick()
    assert engine.run(deadly).state is RunState.FAILED
    assert engine.run(harmless).state is RunState.RUNNING
    (attempt,) = engine.history.attempts(deadly)
    assert "quarantined" in (attempt.error or "")


def test_two_deaths_with_a_start_between_them_that_went_well_are_no_pattern(engine: Stage) -> None:
    quarantine, work = engine.engine.rules.quarantine, job()
    engine.adopt(work)
    spec = engine.engine.rules.in_force["work"].ref.spec
    for _ in range(3):
        assert quarantine.starts("work", spec) is None
        with engine.writer.transaction(engine.clock.now()) as tx:
            quarantine.judge(tx, engine.clock.now(), "1.0")
        (run,) = engine.submit(work)
        assert engine.run(run).state is RunState.RUNNING
        engine.report(engine.workers.given[-1])
