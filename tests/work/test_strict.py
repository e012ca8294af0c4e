"""What a strict attempt asks of systemd, and how its words on the end are read, whatever version it is."""

from __future__ import annotations

import pytest

from jobd.core.model import AttemptKey, Sandbox
from jobd.work import cgroup
from jobd.work.accounts import own_account
from jobd.work.launch import Launch
from jobd.work.sandbox import Enclosure
from jobd.work.standing import Stand
from jobd.work.strict import _properties, _status
from tests.work.harness import shell


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Main processes terminated with: code=exited/status=3", 3 << 8),
        ("Main processes terminated with: code=exited, status=3/NOTIMPLEMENTED", 3 << 8),
        ("Main processes terminated with: code=exited, status=0/SUCCESS", 0),
        ("Main processes terminated with: code=killed/status=KILL", 9),
        ("Main processes terminated with: code=killed, status=15/TERM", 15),
        ("Main processes terminated with: code=dumped, status=6/ABRT", 6),
        ("Finished with result: success", 77),
    ],
)
def test_the_end_of_the_service_is_read_as_a_wait_status(said: str, status: int) -> None:
    assert _status(f"Running as unit: x.service\n{said}\nService runtime: 1s\n", 77) == status


def test_a_unit_is_known_by_its_attempt_and_its_jobd() -> None:
    names = {cgroup.unit_name(place, AttemptKey(run, 1)) for place in ("/run/a", "/run/b") for run in (1, 11)}
    assert len(names) == 4 and all(name.startswith("jobd-run-1") for name in names)


def test_no_payload_and_no_variable_stands_in_the_unit() -> None:
    order = shell(1, "true", sandbox=Sandbox(strict=True, read_write_paths=("/srv/a b",)), payload='"hidden"')
    stand = Stand(
        own_account(), "/", 0o022, enclosure=Enclosure(order.sandbox, ("/run/jobd",), "/run/jobd/attempts/1.1")
    )
    lines = list(_properties(order, Launch(("sh",), {"KEY": "hidden"}, stand, stdin="hidden")))
    assert "hidden" not in "".join(lines)
    assert 'ReadWritePaths="/srv/a b" "/run/jobd/attempts/1.1"' in lines
