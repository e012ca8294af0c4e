"""What jobd died of is left alone once that was no accident (G4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobd.core import suspects
from jobd.core.suspects import Step, Suspect, Work

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FILE = Step(Work.READ, "/etc/jobd/jobs.d/a.yaml", "d1")
JOB = Step(Work.PLAN, "a", "d1")


def blamed(*deaths: tuple[Step, timedelta], release: str = "1.0") -> list[Suspect]:
    found: list[Suspect] = []
    for step, after in deaths:
        found = suspects.blame(found, step, NOW + after, release)
    return found


def test_one_death_is_an_accident_and_the_second_soon_after_is_not() -> None:
    once, soon, later = timedelta(0), timedelta(minutes=5), timedelta(hours=2)
    assert suspects.guilty(blamed((FILE, once)), "1.0") == set()
    assert suspects.guilty(blamed((FILE, once), (FILE, soon)), "1.0") == {FILE}
    assert suspects.guilty(blamed((FILE, once), (FILE, later)), "1.0") == set()
    assert suspects.guilty(blamed((FILE, once), (JOB, soon)), "1.0") == set()


def test_what_is_guilty_stays_so_while_others_come_and_go() -> None:
    found = blamed((FILE, timedelta(0)), (FILE, timedelta(0)), (JOB, timedelta(days=9)), (JOB, timedelta(days=10)))
    assert suspects.guilty(found, "1.0") == {FILE}


def test_another_version_of_a_definition_and_another_jobd_begin_anew() -> None:
    found = blamed((FILE, timedelta(0)), (FILE, timedelta(0)))
    assert FILE._replace(version="d2") not in suspects.guilty(found, "1.0")
    assert suspects.guilty(found, "1.1") == set()
    assert suspects.guilty(suspects.blame(found, FILE, NOW, "1.1"), "1.1") == set()


def test_suspects_and_steps_survive_being_written_down() -> None:
    odd = Step(Work.READ, "/etc/jobd/j\udcffbs.d/ä.yaml", "d")
    found = blamed((FILE, timedelta(0)), (FILE, timedelta(0)), (odd, timedelta(0)))
    assert suspects.from_text(suspects.to_text(found)) == found
    assert Step.from_bytes(odd.to_bytes()) == odd
    assert Step.from_bytes(b"what\0is\0this") is None
    assert Step.from_bytes(b"\xff") is None
