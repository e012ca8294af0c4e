"""A definition that ends the daemon is left alone after its second time, whatever starts jobd again (G4)."""

from __future__ import annotations

import textwrap
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until

pytestmark = pytest.mark.slow

POISON = """
    import os, signal
    from jobd.core.executors import Executor

    class Poison(Executor):
        def read(self, value):
            if value == "deadly":
                os.kill(os.getpid(), signal.SIGKILL)
            return value

        def run(self, work):
            return "harmless"

    executor = Poison()
"""


def bring(host: Host) -> None:
    """A kind of work whose author made a mistake: it ends whoever reads it."""
    host.script("poison.py", textwrap.dedent(POISON))
    about = host.scripts / "poison-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: poison\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[jobd.executors]\npoison = poison:executor\n")


def test_a_definition_that_jobd_dies_of_is_quarantined_and_named_until_it_is_mended(make_host: MakeHost) -> None:
    host = make_host()
    bring(host)
    host.define("fine", "jobs: {fine: {command: 'true'}}\n")
    host.start()
    host.define("planted", "jobs: {planted: {poison: deadly}}\n")
    process = host.process
    assert process is not None
    process.wait(20)
    assert host.launch().wait(20) == -9, "once may be an accident"
    host.start()
    place = f"{host.jobs}/planted.yaml:1:1: is quarantined: jobd died 2 times in a row while reading this file"
    with host.client() as client:
        seen = client.status()
        assert any(one.startswith(place) for one in seen["problems"])
        assert any(place in one["detail"] for one in seen["degraded"])
        assert any(one.startswith(place) for one in client.reload()["problems"])
        assert client.wait(client.submit("fine"))["state"] == "succeeded"
    with urlopen(f"http://{seen['metrics_address']}/metrics") as answer:
        assert b"jobd_definition_errors 1" in answer.read()
    assert f"died while reading this file ({host.jobs}/planted.yaml)" in host.log()
    host.define("planted", "jobs: {planted: {poison: mended}}\n")
    until(lambda: host.status()["healthy"], what="the mended definition is in force")
    with host.client() as client:
        assert client.wait(client.submit("planted"))["result"] == "harmless"
