"""What another zone database does to next slots: they follow it, and it is told."""

from __future__ import annotations

import shutil
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobd.core import zones
from jobd.core.model import Schedule
from jobd.store import versions
from jobd.supervisor import zonefiles
from jobd.supervisor.catalogs import Moved
from jobd.supervisor.zonefiles import ZoneFiles
from tests.supervisor.stage import NOON, Stage, job

HOUR = timedelta(hours=1)
Install = Callable[[str, str], None]
MADRID = job("report", schedule=Schedule(("0 15 * * *",), "Europe/Madrid"))


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """Puts the rules of one zone in the place of another, in a zone database of the test's own."""
    database, source = tmp_path / "zoneinfo", Path("/usr/share/zoneinfo")
    (database / "Europe").mkdir(parents=True)

    def put(rules_of: str, version: str) -> None:
        draft = database / "draft"
        shutil.copy(source / rules_of, draft)
        draft.rename(database / "Europe" / "Madrid")
        (database / "tzdata.zi").write_text(f"# version {version}\n")

    if not (source / "Europe" / "Madrid").exists():
        pytest.skip("this host has no zone database to copy from")
    put("Europe/Madrid", "2026a")
    zoneinfo.reset_tzpath([database])
    zones.forget()
    yield put
    zoneinfo.reset_tzpath()
    zones.forget()


def test_a_changed_file_of_a_zone_in_use_is_seen_once(install: Install) -> None:
    files = ZoneFiles()
    assert not files.changed(["Europe/Madrid", "UTC", "No/Where"])
    assert not files.changed(["Europe/Madrid", "UTC"])
    install("Asia/Tokyo", "2026b")
    assert not files.changed(["UTC"])
    assert files.changed(["Europe/Madrid"])
    assert not files.changed(["Europe/Madrid"])


def test_the_releases_are_those_of_the_files_that_are_read(install: Install) -> None:
    before = zonefiles.versions("UTC")
    assert before["tzdata"] == "2026a"
    assert before["croniter"][0].isdecimal()
    install("Asia/Tokyo", "2026b")
    after = zonefiles.versions("Europe/Madrid")
    assert zonefiles.difference(before, after) == "tzdata 2026a → 2026b, time zone of the host UTC → Europe/Madrid"
    assert zonefiles.difference({}, after) == "jobd itself or the files of its time zone changed"


def test_next_slots_follow_a_changed_zone_and_those_that_moved_are_named(engine: Stage, install: Install) -> None:
    daily = job("daily", schedule=Schedule(("0 15 * * *",), "UTC"))
    engine.adopt(MADRID, daily)
    assert engine.engine.agenda.at("report") == NOON + 2 * HOUR
    install("Atlantic/Azores", "2026b")
    zones.forget()
    change = engine.adopt_as_it_is({"tzdata": "2026b"})
    assert change.moved == (Moved("report", NOON + 2 * HOUR, NOON + 4 * HOUR),)
    assert (change.added, change.changed, change.removed) == ((), (), ())
    assert engine.engine.agenda.at("report") == NOON + 4 * HOUR
    engine.pass_by(3 * HOUR)
    engine.pass_by(HOUR)
    assert [slot for slot, _ in engine.slots("report")] == [NOON + 4 * HOUR]
    with engine.writer.transaction(engine.clock.now()) as tx:
        assert versions.known(tx) == {"tzdata": "2026b"}


def test_a_start_under_another_zone_database_names_what_moved_once(engine: Stage, install: Install) -> None:
    every = job("every", schedule=Schedule(("every 7h",), "Europe/Madrid"))
    engine.adopt(MADRID, every)
    engine.again()
    assert engine.change is not None
    assert engine.change.moved == ()
    install("Atlantic/Azores", "2026b")
    zones.forget()
    engine.again()
    assert engine.change.moved == (Moved("report", NOON + 2 * HOUR, NOON + 4 * HOUR),)
    engine.again()
    assert engine.change.moved == ()


def test_a_job_that_was_changed_itself_is_not_said_to_have_moved(engine: Stage) -> None:
    engine.adopt(MADRID)
    engine.catalog = replace(
        engine.catalog,
        jobs={
            "report": replace(
                engine.catalog.jobs["report"], job=replace(MADRID, schedule=Schedule(("0 16 * * *",), "Europe/Madrid"))
            )
        },
    )
    engine.again()
    assert engine.change is not None
    assert (engine.change.changed, engine.change.moved) == (("report",), ())
