"""What other packages bring, in a daemon that knows nothing of them: kinds of work, sinks, serializers."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path

import pytest

from jobd.core.errors import JobdError
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, until

ABACUS = '''
    """Adds."""
    from jobd import Executor, Failed, Misread

    class Abacus(Executor):
        schema = {
            "type": "object", "properties": {"beads": {"type": "integer", "minimum": 1}}, "required": ["beads"],
            "additionalProperties": False,
        }

        def faults(self, action, payload):
            if not isinstance(payload, dict) or not isinstance(payload.get("add"), list):
                return [(["add"], "must be a list of numbers")]
            return []

        def run(self, work):
            print("adding", work.payload["add"])
            total = sum(work.payload["add"])
            if total > work.options["beads"]:
                raise Failed("not enough beads", retryable=False, exit_code=9, result={"lacking": total})
            return {"total": total, "job": work.context.job}

    executor = Abacus()
'''


def bring(directory: Path) -> None:
    """What pip leaves behind of a package with an executor."""
    (directory / "abacus.py").write_text(textwrap.dedent(ABACUS))
    about = directory / "abacus-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: abacus\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[jobd.executors]\nabacus = abacus:executor\n")


def test_a_kind_of_work_that_another_package_brings_is_a_kind_like_any_other(make_host: MakeHost) -> None:
    host = make_host()
    bring(host.scripts)
    host.define("sums", "jobs:\n  warm: {abacus: {beads: 10}}\n  apart: {abacus: {beads: 10}, isolate: true}\n")
    host.define("wrong", "jobs:\n  few: {abacus: {beads: 0}}\n  typo:\n    abacus: {beats: 1}\n")
    host.start()
    with host.client() as client:
        problems = client.status()["problems"]
        assert any("wrong.yaml:2:25: jobs.few.abacus.beads: 0 is less than the minimum of 1" in one for one in problems)
        assert any("jobs.typo.abacus: 'beads' is a required property" in one for one in problems)
        for job in ("warm", "apart"):
            run = client.wait(client.submit(job, {"add": [1, 2]}))
            assert (run["state"], run["result"]) == ("succeeded", {"total": 3, "job": job})
            assert b"".join(client.output(run["id"])) == b"adding [1, 2]\n"
            failed = client.wait(client.submit(job, {"add": [8, 3]}))
            assert (failed["state"], failed["exit_code"], failed["attempts"]) == ("failed", 9, 1)
            assert (failed["error"], failed["result"]) == ("not enough beads", {"lacking": 11})
        with pytest.raises(JobdError, match="/payload/add must be a list of numbers"):
            client.submit("warm", {"add": 1})


def install(directory: Path, into: Path) -> None:
    """The example of the tree, as pip installs it, with nothing from anywhere else."""
    shutil.copytree(ROOT / "examples" / "plugin", directory / "plugin")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(into), str(directory / "plugin")], check=True, cwd=directory)


def sink_events(host: Host, result: str) -> float:
    address = host.status()["metrics_address"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        found = [line for line in answer.read().decode().splitlines() if f'result="{result}"' in line]
    return sum(float(line.split()[-1]) for line in found if line.startswith("jobd_sink_events_total"))


@pytest.mark.slow
def test_the_example_extends_jobd_in_each_of_its_ways(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    install(tmp_path, host.scripts)
    tally = host.directory / "tally.json"
    host.configure(f"sinks: {{tally: {{file: {tally}}}}}\n")
    (host.scripts / "till.py").write_text(
        "def add(payload): return [type(payload['a']).__name__, str(payload['a'] + 1)]\n"
    )
    host.define(
        "work",
        f"""
        jobs:
          sum: {{checksum: {{path: {host.scripts}/till.py}}}}
          add: {{python: "till:add", payload_schema: {{type: object, required: [a]}}}}
        """,
    )
    host.start()
    with host.client() as client:
        run = client.wait(client.submit("sum"))
        digest = hashlib.sha256((host.scripts / "till.py").read_bytes()).hexdigest()
        assert run["result"] == {"digest": digest}
        failed = client.wait(client.submit("sum", {"expect": "0"}))
        assert (failed["state"], failed["exit_code"]) == ("failed", 3)
        old = {"$serializer": ["decimal", 1], "data": {"a": "d:0.10"}}
        new = {"$serializer": ["decimal", 2], "data": {"a": {"$d": "0.10"}}}
        for payload in (old, new):
            assert client.result(client.submit("add", payload)) == ["Decimal", "1.10"]
        nobody = client.wait(client.submit("add", new | {"$serializer": ["pickle", 1]}, max_attempts=3))
        assert (nobody["state"], nobody["attempts"]) == ("failed", 1)
        assert "no package on this host brings a serializer named pickle" in nobody["error"]
        with pytest.raises(JobdError, match="'a' is a required property"):
            client.submit("add", {"$serializer": ["decimal", 2], "data": {}})
    until(lambda: tally.exists() and json.loads(tally.read_text()).get("run_finished") == 5, what="the sink was told")
    until(lambda: sink_events(host, "taken") >= 15, what="what the sink took is counted")


SINKS = """
import os, time
class Broken:
    def __init__(self, options): pass
    def take(self, event): raise ValueError("no room")
class Asleep:
    def __init__(self, options): pass
    def take(self, event): time.sleep(60)
class Fatal:
    def __init__(self, options): pass
    def take(self, event): os._exit(9)
"""


@pytest.mark.slow
def test_no_sink_slows_or_breaks_the_daemon(make_host: MakeHost) -> None:
    host = make_host("sinks: {broken: null, asleep: {}, fatal: {}, missing: {}}\n")
    (host.scripts / "sinks.py").write_text(SINKS)
    about = host.scripts / "sinks-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: sinks\nVersion: 1.0\n")
    named = "\n".join(f"{kind.lower()} = sinks:{kind}" for kind in ("Broken", "Asleep", "Fatal"))
    (about / "entry_points.txt").write_text(f"[jobd.sinks]\n{named}\n")
    host.define("quick", 'jobs:\n  quick: {command: ["true"]}\n')
    host.start()
    with host.client() as client:
        for _ in range(20):
            assert client.wait(client.submit("quick"))["state"] == "succeeded"
        expected = {
            "sink_broken": "ValueError: no room",
            "sink_fatal": "ended with 9",
            "sink_missing": "no package on this host brings a sink named missing",
        }

        def ailments() -> bool:
            told = {one["reason"]: one["detail"] for one in client.status()["degraded"]}
            return all(said in str(told.get(name)) for name, said in expected.items())

        until(ailments, what=f"status tells of {expected}: {client.status()['degraded']}")
    until(lambda: sink_events(host, "failed") > 0, what="failures are counted")
    assert host.end() == 0
