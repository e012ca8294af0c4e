"""A kind of work that another package brings, in a daemon that knows nothing of it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from jobd.core.errors import JobdError
from tests.e2e.conftest import MakeHost

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
