"""Where log entries arrive: a real datagram socket in journald's place, real pipes in stderr's."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobd.core.events import RunFinished
from jobd.core.states import Outcome, RunState
from jobd.observe import destinations
from jobd.observe.destinations import Journald, JsonLines, Stream, safe
from jobd.observe.journal import Journal, Records, open_journal
from jobd.observe.sentences import MESSAGE_IDS, Priority
from tests.hostile import PAYLOADS, raw_in

HOSTILE = list(PAYLOADS.values())


def journald(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(path))
    made.settimeout(5)
    return made


def fields(datagram: bytes) -> dict[str, str]:
    """A datagram of journald's native protocol, read as its specification says."""
    found: dict[str, str] = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        found[name.decode()] = value.decode()
        datagram = rest
    return found


def test_an_entry_arrives_at_journald_with_its_fields(tmp_path: Path) -> None:
    with journald(tmp_path / "journal") as server:
        Journal(Journald(str(tmp_path / "journal"))).note("listening", Priority.NOTICE, JOBD_JOB="a", EXTRA="x\ny=z")
        found = fields(server.recv(65536))
    assert found == {
        "MESSAGE": "listening",
        "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": "jobd",
        "JOBD_JOB": "a",
        "EXTRA": "x\ny=z",
    }


def test_hostile_text_arrives_as_one_record_with_visible_escapes(tmp_path: Path) -> None:
    with journald(tmp_path / "journal") as server:
        log = Journal(Journald(str(tmp_path / "journal")))
        for text in HOSTILE:
            log.note(text)
            found = fields(server.recv(65536))
            assert found["MESSAGE"].isprintable()
            assert found.keys() == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"}
    assert safe("é ok \U0001f600") == "é ok \U0001f600"


def test_half_a_surrogate_pair_can_be_logged(tmp_path: Path) -> None:
    with journald(tmp_path / "journal") as server:
        Journal(Journald(str(tmp_path / "journal"))).note("bad \udcff byte")
        assert fields(server.recv(65536))["MESSAGE"] == "bad \\udcff byte"


def test_a_journald_that_takes_nothing_never_holds_up_the_loop(tmp_path: Path) -> None:
    with journald(tmp_path / "journal") as server:
        log = Journal(Journald(str(tmp_path / "journal")))

        async def write_and_recover() -> list[str]:
            began = time.monotonic()
            for number in range(15_000):
                log.note(f"entry {number}")
            assert time.monotonic() - began < 20
            assert 4_000 < log.dropped < 5_000
            got: list[str] = []
            server.setblocking(False)
            async with asyncio.timeout(60):
                while not got or "were dropped" not in got[-1]:
                    got.append(fields(await asyncio.get_running_loop().sock_recv(server, 65536))["MESSAGE"])
            return got

        got = asyncio.run(write_and_recover())
    assert got[:3] == ["entry 0", "entry 1", "entry 2"]
    assert got[-1] == f"{log.dropped} log records were dropped: nobody took them in time"
    assert len(got) == 15_000 - log.dropped + 1


def test_a_journald_that_was_restarted_is_found_again(tmp_path: Path) -> None:
    with journald(tmp_path / "journal"):
        log = Journal(Journald(str(tmp_path / "journal")))
    os.unlink(tmp_path / "journal")
    log.note("to nobody")
    assert log.dropped == 1
    with journald(tmp_path / "journal") as server:
        log.note("back")
        told = [fields(server.recv(65536))["MESSAGE"] for _ in range(2)]
    assert told == ["back", "1 log records were dropped: nobody took them in time"]


def test_lines_for_people_carry_the_time_and_the_level() -> None:
    reading, writing = os.pipe()
    Journal(Stream(writing, clock=lambda: 0.0)).note("two\nlines", Priority.WARNING)
    line = os.read(reading, 4096).decode()
    assert line == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(0)) + " warning two\\x0alines\n"


def test_lines_for_journald_carry_the_priority_and_job_text_is_never_in_front() -> None:
    reading, writing = os.pipe()
    Journal(Stream(writing, has_prefix=True)).note("<0>forged")
    assert os.read(reading, 4096) == b"<6><0>forged\n"


def test_an_object_a_line_has_the_fields_of_its_event() -> None:
    reading, writing = os.pipe()
    log = Journal(JsonLines(writing, clock=lambda: 0.25))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    log.take(RunFinished(42, "backup", "mail", at, RunState.FAILED, Outcome.TIMEOUT, 1.5, 124, "too slow"))
    assert json.loads(os.read(reading, 4096)) == {
        "at": "1970-01-01T00:00:00.250000Z",
        "level": "warning",
        "message": "Run 42 of backup failed after 1.5s (timeout: too slow)",
        "job": "backup",
        "run_id": "42",
        "queue": "mail",
        "outcome": "timeout",
        "message_id": MESSAGE_IDS[RunFinished],
    }


def test_hostile_text_stays_within_its_object_and_its_line() -> None:
    reading, writing = os.pipe()
    log = Journal(JsonLines(writing, has_prefix=True))
    for text in (*HOSTILE, "\U0001f600\x1b" * 10_000, "\udcff"):
        log.note(text)
        line = os.read(reading, 65536)
        assert len(line) <= 4096 and line.startswith(b"<6>{") and line.count(b"\n") == 1 and line.endswith(b"}\n")
        assert raw_in(line.decode("ascii")) == set()
        assert raw_in(json.loads(line[3:])["message"]) == set()


def test_a_full_pipe_never_holds_up_the_writer() -> None:
    reading, writing = os.pipe()
    log = Journal(Stream(writing))
    began = time.monotonic()
    for _ in range(12_000):
        log.note("x" * 100)
    assert time.monotonic() - began < 20
    assert log.dropped > 0
    os.close(reading)
    assert log.flush()  # nobody reads any more: what waited is dropped, not kept for ever
    os.close(writing)


def test_a_very_long_message_is_cut_to_one_line() -> None:
    reading, writing = os.pipe()
    Journal(Stream(writing)).note("y" * 100_000)
    line = os.read(reading, 100_000)
    assert len(line) <= 4096
    assert line.endswith(b"...\n")


def test_what_is_below_the_level_is_not_written() -> None:
    reading, writing = os.pipe()
    log = Journal(Stream(writing), Priority.WARNING)
    log.note("quiet", Priority.INFO)
    log.note("loud", Priority.ERROR)
    assert b"quiet" not in os.read(reading, 4096)


def test_a_librarys_traceback_is_one_record() -> None:
    reading, writing = os.pipe()
    log = Journal(Stream(writing))
    handler = Records(log)
    try:
        int("boom")
    except ValueError:
        record = logging.LogRecord("lib", logging.ERROR, __file__, 1, "it %s", ("broke",), sys.exc_info())
    handler.handle(record)
    lines = os.read(reading, 8192).decode().splitlines()
    assert len(lines) == 1
    assert "it broke: Traceback" in lines[0]
    assert "ValueError: invalid literal" in lines[0]


def test_journald_is_used_only_where_systemd_says_that_stderr_is_its(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(destinations, "JOURNAL_SOCKET", str(tmp_path / "journal"))
    monkeypatch.setattr(Journald.__init__, "__defaults__", (str(tmp_path / "journal"),))
    monkeypatch.setattr("sys.stderr", os.fdopen(writing, "w", closefd=False))
    found = os.fstat(writing)
    with journald(tmp_path / "journal") as server:
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        open_journal().note("native")
        assert fields(server.recv(65536))["MESSAGE"] == "native"
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")
        open_journal().note("to a person")
        assert os.read(reading, 4096).endswith(b" info to a person\n")
    os.unlink(tmp_path / "journal")
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    open_journal().note("journald is away")
    assert os.read(reading, 4096) == b"<6>journald is away\n"
