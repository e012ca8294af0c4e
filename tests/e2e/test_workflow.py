"""Workflows on a real daemon: results handed on, kill -9 between a parent's end and its child, retry, cancel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobd.core.errors import Conflict, Invalid, NotFound
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import ROOT, Host, until


def tree(host: Host, run: int) -> dict[str, str]:
    """State by job of everything that hangs together with a run."""
    with host.client() as client:
        answer = client.tree(run)
    return {one["job"]: one["state"] for one in answer["items"]}


def ended(host: Host, run: int, *jobs: str, seconds: float = 15.0) -> dict[str, str]:
    """The same, once these jobs' runs are final."""
    over = {"succeeded", "failed", "cancelled", "skipped", "expired"}

    def found() -> dict[str, str] | None:
        states = tree(host, run)
        return states if all(states[job] in over for job in jobs or states) else None

    return until(found, seconds, f"{jobs or 'all'} of run {run}: {tree(host, run)}") or {}


def ids(host: Host, run: int) -> dict[str, int]:
    with host.client() as client:
        return {one["job"]: one["id"] for one in client.tree(run)["items"]}


def names(host: Host) -> set[str]:
    with host.client() as client:
        return {job["name"] for job in client.jobs()}


def defined(host: Host, name: str, text: str, job: str) -> None:
    """Put a file in force and wait until its job is."""
    host.define(name, text)
    until(lambda: job in names(host), what=f"{job} is in force: {host.log()[-2000:]}")


def test_a_chain_hands_its_results_on(served: Host) -> None:
    served.script(
        "chained.py",
        """
        def count(payload, context):
            (parent,) = context.parents
            assert (parent.job, parent.state) == ("ch-dump", "succeeded")
            return {"rows": parent.result["rows"] + 1}
        """,
    )
    defined(
        served,
        "chain",
        """
        jobs:
          ch-dump: {shell: 'echo "{\\"rows\\": 41}" > $JOBD_RESULT_FILE', chain: [ch-count, ch-tell]}
          ch-count: {python: "chained:count"}
          ch-tell:
            shell: |
              cat $JOBD_PARENT_RESULT_FILE; echo
              echo $JOBD_PARENT_RUN $JOBD_PARENT_JOB $JOBD_PARENT_STATE $JOBD_TRIGGER
        """,
        "ch-dump",
    )
    with served.client() as client:
        run = int(client.submit("ch-dump"))
    assert set(ended(served, run).values()) == {"succeeded"}
    known = ids(served, run)
    assert served.output(known["ch-tell"]).decode().splitlines() == [
        '{"rows": 42}',
        f"{known['ch-count']} ch-count succeeded workflow",
    ]
    assert served.run(known["ch-tell"])["parent"] == known["ch-count"]


def test_a_join_gets_every_result_by_name(served: Host) -> None:
    defined(
        served,
        "join",
        """
        jobs:
          jo-all: {shell: 'cat $JOBD_PARENT_RESULT_FILE', needs: [jo-a, jo-b]}
          jo-a: {shell: 'echo 1 > $JOBD_RESULT_FILE'}
          jo-b: {shell: 'echo 2 > $JOBD_RESULT_FILE'}
        """,
        "jo-all",
    )
    with served.client() as client:
        run = int(client.submit("jo-all"))
    ended(served, run)
    assert json.loads(served.output(run)) == {"jo-a": 1, "jo-b": 2}


def test_results_near_the_limit_are_handed_on_whole(served: Host) -> None:
    served.script(
        "large.py",
        """
        def write(payload): return "x" * 1_000_000
        def read(payload, context): return sum(len(one.result) for one in context.parents)
        """,
    )
    served.define("large-parts", "jobs:\n" + "".join(f"  la-{n}: {{python: 'large:write'}}\n" for n in range(4)))
    defined(
        served,
        "large",
        """
        jobs:
          la-file: {shell: 'wc -c < $JOBD_PARENT_RESULT_FILE', needs: [la-0, la-1, la-2, la-3]}
          la-call: {python: 'large:read', needs: [la-0, la-1, la-2, la-3]}
        """,
        "la-file",
    )
    with served.client() as client:
        files, calls = int(client.submit("la-file")), int(client.submit("la-call"))
    ended(served, files)
    ended(served, calls)
    assert int(served.output(files)) > 4_000_000
    assert served.run(calls)["result"] == 4_000_000


def test_an_isolated_callable_sees_its_parents_too(served: Host) -> None:
    served.script("alone.py", "def look(payload, context): return [one.result for one in context.parents]\n")
    defined(
        served,
        "alone",
        """
        jobs:
          al-a: {shell: 'echo 7 > $JOBD_RESULT_FILE', then: [al-b]}
          al-b: {python: "alone:look", isolate: true}
        """,
        "al-a",
    )
    with served.client() as client:
        run = int(client.submit("al-a"))
    ended(served, run)
    assert served.run(ids(served, run)["al-b"])["result"] == [7]


def test_a_retry_opens_what_a_failure_had_cancelled(served: Host, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    defined(
        served,
        "retry",
        f"""
        jobs:
          re-a: {{shell: 'test -e {ready}', then: [re-b], catch: [re-c], retry: {{max_attempts: 1}}}}
          re-b: {{command: ["true"]}}
          re-c: {{command: ["true"]}}
        """,
        "re-a",
    )
    with served.client() as client:
        run = int(client.submit("re-a"))
        assert ended(served, run) == {"re-a": "failed", "re-b": "cancelled", "re-c": "succeeded"}
        assert (
            client.run(ids(served, run)["re-b"])["error"] == f"waited for the success of run {run} (re-a), which failed"
        )
        ready.touch()
        client.retry(run)
    assert ended(served, run) == {"re-a": "succeeded", "re-b": "succeeded", "re-c": "succeeded"}
    assert served.run(ids(served, run)["re-c"])["attempts"] == 1


def test_cancelling_a_running_parent_ends_what_waits_for_its_success(served: Host) -> None:
    defined(
        served,
        "cancel",
        """
        jobs:
          ca-a: {command: [sleep, "600"], then: [ca-b], finally: [ca-c]}
          ca-b: {command: ["true"]}
          ca-c: {command: ["true"]}
        """,
        "ca-a",
    )
    with served.client() as client:
        run = int(client.submit("ca-a"))
        until(lambda: client.run(run)["state"] == "running")
        blocked = ids(served, run)["ca-b"]
        why = client.request("GET", f"/v1/runs/{blocked}/why")
        assert (why["reason"], why["blockers"][0]["id"]) == ("blocked", run)
        assert f"the success of run {run} (ca-a, which is running)" in why["detail"]
        client.cancel(run)
    assert ended(served, run) == {"ca-a": "cancelled", "ca-b": "cancelled", "ca-c": "succeeded"}


def test_a_submission_may_depend_on_runs_that_are_there(served: Host) -> None:
    with served.client() as client:
        first = int(client.submit_command(["false"], max_attempts=1))
        after = int(client.submit_command(["true"], depends_on=[{"run": first, "on": "failure"}]))
        never = int(client.submit_command(["true"], depends_on=[{"run": first}]))
        assert served.ended(after)["state"] == "succeeded"
        assert served.ended(never)["state"] == "cancelled"
        with pytest.raises(NotFound, match="there is no run 999999"):
            client.submit_command(["true"], depends_on=[{"run": 999999}])
        with pytest.raises(Invalid, match="/depends_on"):
            client.submit_command(["true"], depends_on=[{"run": first, "on": "luck"}])


def test_a_schedule_waits_for_what_it_needs(served: Host) -> None:
    served.define(
        "fired",
        """
        jobs:
          fi-a: {command: [echo, a], needs: [fi-b], schedule: every 1s}
          fi-b: {command: [sleep, "0.2"]}
        """,
    )
    with served.client() as client:
        slot = until(lambda: [one for one in client.slots(job="fi-a") if one["disposition"] == "started"])[-1]
        assert served.ended(slot["run"])["state"] == "succeeded"
        need = ids(served, slot["run"])["fi-b"]
        assert client.run(need)["finished_at"] <= client.run(slot["run"])["started_at"]
        served.define("fired", "jobs: {}\n")


def test_the_tree_is_shown_by_the_command(served: Host) -> None:
    defined(
        served,
        "shown",
        """
        jobs:
          sh-a: {command: ["true"], then: [sh-b]}
          sh-b: {command: ["true"]}
        """,
        "sh-a",
    )
    with served.client() as client:
        run = int(client.submit("sh-a"))
    ended(served, run)

    def ctl(*words: str) -> str:
        program = [sys.executable, "-m", "jobd.cli.ctl", "--socket", served.socket, "show", str(run), *words]
        return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    lines = ctl("--tree").splitlines()
    assert lines[0].startswith(f"#{run} sh-a  succeeded")
    assert lines[1].startswith(f"└─ success: #{run + 1} sh-b  succeeded")
    assert ctl("--format", "dot").startswith("digraph workflow {")
    assert ctl("--format", "mermaid").startswith("flowchart LR")


def test_a_job_that_another_one_names_is_missed_aloud(served: Host) -> None:
    both = "jobs:\n  mi-a: {command: ['true'], then: [mi-b]}\n  mi-b: {command: ['true']}\n"
    defined(served, "missing", both, "mi-a")
    with served.client() as client:
        served.define("missing", "jobs:\n  mi-a: {command: ['true'], then: [mi-b]}\n")
        told = until(lambda: [one for one in client.reload()["problems"] if "mi-b" in one])
        assert 'jobs.mi-a.then[0]: there is no job "mi-b"' in told[0]
        assert "mi-a" in names(served)
        with pytest.raises(Conflict, match='mi-a names "mi-b" in then'):
            client.submit("mi-a")
        served.define("missing", "jobs: {}\n")
        until(lambda: client.reload()["problems"] == [])


@pytest.mark.slow
def test_a_kill_between_the_end_of_a_parent_and_the_start_of_its_child_loses_nothing(make_host: MakeHost) -> None:
    """The daemon is killed while the parent runs; it ends meanwhile, and its end and the child's release are one."""
    host = make_host("workers: {max: 2}\ndrain_timeout: 5s\n").start()
    go, started = host.directory / "go", host.directory / "started"
    defined(
        host,
        "kill",
        f"""
        jobs:
          a:
            shell: 'touch {started}; while ! test -e {go}; do sleep 0.02; done; echo "[1]" > $JOBD_RESULT_FILE'
            then: [b]
            catch: [c]
            finally: [d]
          b: {{shell: 'cat $JOBD_PARENT_RESULT_FILE >> {host.directory}/b'}}
          c: {{command: ["true"]}}
          d: {{shell: 'echo d >> {host.directory}/d'}}
        """,
        "a",
    )
    with host.client() as client:
        run = int(client.submit("a"))
        until(started.exists)
    host.kill()
    go.touch()
    host.start()
    assert ended(host, run) == {"a": "succeeded", "b": "succeeded", "c": "cancelled", "d": "succeeded"}
    assert (host.directory / "b").read_text() == "[1]"
    assert (host.directory / "d").read_text() == "d\n"


@pytest.mark.slow
def test_kills_at_any_moment_leave_every_child_decided_once(make_host: MakeHost) -> None:
    host = make_host("workers: {max: 4}\ndrain_timeout: 5s\n").start()
    defined(
        host,
        "storm",
        f"""
        jobs:
          a:
            shell: 'exit $(($JOBD_RUN_ID / 4 % 2))'
            retry: {{max_attempts: 1}}
            then: [b]
            catch: [c]
            finally: [d]
          b: {{shell: 'echo $JOBD_PARENT_RUN >> {host.directory}/b', on_lost: fail}}
          c: {{shell: 'echo $JOBD_PARENT_RUN >> {host.directory}/c', on_lost: fail}}
          d: {{shell: 'echo $JOBD_PARENT_RUN >> {host.directory}/d', on_lost: fail}}
        """,
        "a",
    )
    parents: list[int] = []
    for _ in range(6):
        with host.client() as client:
            parents += [int(client.submit("a")) for _ in range(10)]
        host.kill()
        host.start()
    for run in parents:
        states = ended(host, run, seconds=40)
        good = states["a"] == "succeeded"
        assert (states["b"] == "cancelled", states["c"] == "cancelled") == (not good, states["a"] != "failed")
        assert states["d"] != "cancelled"
    for name in "bcd":
        told = (host.directory / name).read_text().split()
        assert len(told) == len(set(told)), f"a run of {name} was executed twice"
