"""Programs in several languages use one daemon at once, each in its own way, and get what they asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.daemon import ROOT, Host, until

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-00"
SAY_TRACE = "echo ${TRACEPARENT-none} ${TRACESTATE-none}"


def ctl(host: Host, *words: str, check: bool = True, env: Mapping[str, str] | None = None, given: str = "") -> str:
    """What a jobd-ctl on this host prints."""
    done = subprocess.run(
        [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, *words],
        check=False, cwd=ROOT, env=os.environ | (env or {}), input=given, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def in_force(host: Host, job: str) -> None:
    def is_there() -> bool:
        with host.client() as client:
            return job in {one["name"] for one in client.jobs()}

    until(is_there, what=f"{job} is in force: {host.log()[-2000:]}")


@pytest.fixture(scope="module")
def traced(served: Host) -> Host:
    served.define(
        "traced",
        f"""
        jobs:
          tr-one: {{shell: '{SAY_TRACE}', then: [tr-next]}}
          tr-next: {{python: "traced:told"}}
          tr-again: {{shell: '{SAY_TRACE}; test $JOBD_ATTEMPT = 2', retry: {{strategy: fixed, base: 10ms}}}}
        """,
    )
    served.script("traced.py", "import os\ndef told(payload): return os.environ.get('TRACEPARENT', 'none')\n")
    in_force(served, "tr-again")
    return served


def test_a_trace_reaches_every_attempt_and_the_runs_that_come_along(traced: Host) -> None:
    with traced.client() as client:
        run = int(client.submit("tr-one", traceparent=PARENT, tracestate="a=b"))
        assert traced.ended(run)["traceparent"] == PARENT
        (child,) = (one["id"] for one in client.tree(run)["items"] if one["job"] == "tr-next")
        again = int(client.submit("tr-again", traceparent=OTHER, max_attempts=2))
    assert traced.output(run) == f"{PARENT} a=b\n".encode()
    assert traced.ended(child)["result"] == PARENT
    assert traced.ended(again)["state"] == "succeeded"
    assert {traced.output(again, attempt=one) for one in (1, 2)} == {f"{OTHER} none\n".encode()}


def test_a_run_without_a_trace_has_none_also_behind_one_that_has(traced: Host) -> None:
    with traced.client() as client:
        ids = client.submit_many([{"job": "tr-next", "traceparent": PARENT}, {"job": "tr-next"}] * 5)
    assert [traced.ended(run)["result"] for run in ids] == [PARENT, "none"] * 5


def test_jobd_ctl_submits_under_the_trace_it_runs_in(traced: Host) -> None:
    def submitted(parent: str, state: str) -> dict[str, Any]:
        env = {"TRACEPARENT": parent, "TRACESTATE": state}
        found = traced.ended(int(ctl(traced, "submit", "--", "sh", "-c", SAY_TRACE, env=env)))
        assert traced.output(found["id"]).decode().split() == [found["traceparent"] or "none", state or "none"]
        return found

    assert submitted(PARENT, "a=b")["traceparent"] == PARENT
    assert submitted(PARENT, "")["tracestate"] is None
    assert submitted("", "")["traceparent"] is None
    lines = f'{{"job": "tr-next"}}\n{{"job": "tr-next", "traceparent": "{OTHER}"}}\n'
    ids = ctl(traced, "submit", "--batch", "-", env={"TRACEPARENT": PARENT}, given=lines).split()
    assert [traced.ended(int(run))["result"] for run in ids] == [PARENT, OTHER]
