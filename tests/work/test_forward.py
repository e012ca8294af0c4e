"""Output in the journal: each line a record with its fields, masked, harmless and bounded; a real socket stands in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobd.core.masking import Masker
from jobd.core.model import AttemptKey, Command
from jobd.core.states import Trigger
from jobd.work import forward
from jobd.work.forward import Forwarded, JournalLines
from jobd.work.orders import Order
from jobd.work.output import OutputFiles, path_of
from tests.hostile import PAYLOADS, raw_in

ORDER = Order(AttemptKey(7, 2), "backup", Command(("true",)), "default", Trigger.SUBMIT, None, 3, "null")
MASKER = Masker(["password"], [b"v4lue-of-it"])


class Server:
    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)

    def records(self) -> list[dict[str, str]]:
        found = []
        while True:
            try:
                datagram = self.socket.recv(1 << 20)
            except BlockingIOError:
                return found
            assert datagram.endswith(b"\n")
            lines = datagram.decode().removesuffix("\n").split("\n")
            found.append(dict(line.split("=", 1) for line in lines))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "journal")
    yield made
    made.socket.close()


def test_each_line_is_a_record_with_the_fields_of_its_run(server: Server) -> None:
    lines = JournalLines(ORDER, "stderr", MASKER, path=server.path)
    lines.take(b"one\ntw")
    lines.take(b"o\nthree")
    lines.end()
    found = server.records()
    assert [one["MESSAGE"] for one in found] == ["one", "two", "three"]
    assert found[0] == {
        "MESSAGE": "one",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "backup",
        "JOBD_JOB": "backup",
        "JOBD_RUN_ID": "7",
        "JOBD_ATTEMPT": "2",
        "JOBD_QUEUE": "default",
        "JOBD_STREAM": "stderr",
    }


def test_secrets_are_masked_also_where_the_reads_cut_them(server: Server) -> None:
    data = b"a password=hunter22 and v4lue-of-it\n"
    for cut in range(len(data)):
        lines = JournalLines(ORDER, "stdout", MASKER, path=server.path)
        lines.take(data[:cut])
        lines.take(data[cut:])
        lines.end()
        assert [one["MESSAGE"] for one in server.records()] == ["a password=*** and ***"]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_nothing_that_moves_a_terminal_or_adds_a_field_gets_into_a_record(server: Server, payload: str) -> None:
    lines = JournalLines(ORDER, "stdout", MASKER, path=server.path)
    lines.take(f"said {payload} so\n".encode() + b"\xff\xfe\n")
    lines.end()
    found = server.records()
    assert len(found) == payload.count("\n") + 2
    for record in found:
        assert raw_in(record["MESSAGE"]) == set()
        assert record["PRIORITY"] == "6"
        assert record["JOBD_RUN_ID"] == "7"


def test_more_lines_than_the_rate_allows_are_counted_and_told(tmp_path: Path, server: Server) -> None:
    now = [0.0]
    lines = JournalLines(ORDER, "stdout", MASKER, path=server.path, clock=lambda: now[0])
    told = 0
    for _ in range(forward.MOST_AT_ONCE + 500):
        lines.take(b"x\n")
        told += len(server.records())
    assert told == forward.MOST_AT_ONCE
    now[0] = 0.1
    lines.take(b"y\n")
    assert [one["MESSAGE"] for one in server.records()] == ["y"]
    lines.end()
    assert server.records()[-1]["MESSAGE"].startswith("500 lines were not forwarded")


def test_without_a_journal_the_output_is_kept_all_the_same(tmp_path: Path) -> None:
    lines = JournalLines(ORDER, "stdout", MASKER, path=str(tmp_path / "nobody"))
    kept = Forwarded(path_of(str(tmp_path), 7, 2, "stdout"), 1000, lines)
    kept.write(b"one\npassword=hunter22\n")
    kept.close()
    assert OutputFiles(str(tmp_path)).read(7, 2, "stdout", 0, 1000)[0] == b"one\npassword=hunter22\n"


def test_a_line_without_an_end_is_sent_in_pieces(server: Server) -> None:
    lines = JournalLines(ORDER, "stdout", MASKER, path=server.path)
    for _ in range(40):
        lines.take(b"x y " * 2048)
    assert server.records()
    lines.end()
