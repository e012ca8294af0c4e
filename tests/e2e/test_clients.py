"""Programs in several languages use one daemon at once, each in its own way, and get what they asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
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


# Each client below is given the socket and a count, submits so many runs, and prints what came of them:
# {id: [result, output]}.
SYNC = """
import json, sys
from jobd.client import Client
with Client(sys.argv[1], timeout_seconds=30) as jobd:
    work = [{"job": "cl-work", "payload": {"client": "sync", "n": n}} for n in range(int(sys.argv[2]))]
    half = len(work) // 2
    ids = [jobd.submit(**one) for one in work[:half]] + jobd.submit_many(work[half:])
    told = {}
    for run in ids:
        assert jobd.wait(run)["state"] == "succeeded"
        told[run] = [jobd.result(run), b"".join(jobd.output(run, "stdout")).decode()]
print(json.dumps(told))
"""
ASYNC = """
import asyncio, json, sys
from jobd.client import AsyncClient

async def newest(jobd):
    return max([event["id"] async for event in jobd.events(follow=False)], default=0)

async def all_ended(jobd, since, ids):
    left = set(map(int, ids))
    async for event in jobd.events(since=since, job="cl-work", kind="run_finished"):
        left.discard(event.get("run"))
        if not left:
            return

async def main(path, count):
    async with AsyncClient(path, timeout_seconds=30) as jobd:
        work = [{"job": "cl-work", "payload": {"client": "async", "n": n}} for n in range(count)]
        half = count // 2
        since = await newest(jobd)
        ids = list(await asyncio.gather(*(jobd.submit(**one) for one in work[:half])))
        ids += await jobd.submit_many(work[half:])
        await asyncio.wait_for(all_ended(jobd, since, ids), 100)
        few = asyncio.Semaphore(8)  # each output takes a connection of its own, and a user has 64
        async def told(run):
            async with few:
                text = b"".join([piece async for piece in jobd.output(run, "stdout")]).decode()
            return await jobd.result(run), text
        return dict(zip(ids, await asyncio.gather(*map(told, ids)), strict=True))

print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2])))))
"""
SHELL = """
set -eu
ctl() { "$PYTHON" -m jobd.cli.ctl --socket "$1" "${@:2}"; }
third=$(($2 / 3))
ids=$(for n in $(seq 0 $((third - 1))); do ctl "$1" -q run cl-work -p client=shell -p n:=$n; done)
item() { echo '{"job": "cl-work", "payload": {"client": "shell", "n": '$1'}}'; }
ids="$ids $(for n in $(seq $third $(($2 - 1))); do item $n; done | ctl "$1" submit --batch -)"
ctl "$1" wait $ids > /dev/null
sep='{'
for id in $ids; do
  result=$(ctl "$1" show $id --json | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["result"])')
  output=$(ctl "$1" logs $id --stdout | "$PYTHON" -c 'import json, sys; print(json.dumps(sys.stdin.read()))')
  printf '%s"%s": [%s, %s]' "$sep" $id "$result" "$output"
  sep=', '
done
echo '}'
"""
CURL = """
set -eu
api() { curl -sSf --max-time 60 --unix-socket "$socket" "http://jobd/v1/$@"; }
pick() { "$PYTHON" -c 'import json, sys; found = json.load(sys.stdin); print(*found.get("ids") or [found["id"]])'; }
socket=$1 third=$(($2 / 3))
item() { echo '{"job": "cl-work", "payload": {"client": "curl", "n": '$1'}}'; }
ids=$(for n in $(seq 0 $((third - 1))); do api runs -d "$(item $n)" | pick; done)
array=$(for n in $(seq $third $((2 * third - 1))); do item $n; done | paste -sd,)
ids="$ids $(api runs -d "[$array]" | pick)"
ids="$ids $(for n in $(seq $((2 * third)) $(($2 - 1))); do item $n; done |
  api runs -H 'Content-Type: application/x-ndjson' --data-binary @- | pick)"
sep='{'
for id in $ids; do
  result=$(api "runs/$id/wait?timeout=50" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["result"])')
  output=$(api "runs/$id/output?stream=stdout" | "$PYTHON" -c 'import json, sys; print(json.dumps(sys.stdin.read()))')
  printf '%s"%s": [%s, %s]' "$sep" $id "$result" "$output"
  sep=', '
done
echo '}'
"""
CLIENTS = {
    "curl": (["bash", "-c", CURL, "curl"], 12),
    "sync": ([sys.executable, "-c", SYNC], 100),
    "async": ([sys.executable, "-c", ASYNC], 100),
    "shell": (["bash", "-c", SHELL, "shell"], 6),
    "node": (["node", str(Path(__file__).with_name("client.mjs"))], 60),
}


@pytest.fixture(scope="module")
def working(served: Host) -> Host:
    """A job that writes what it was given into books of its own, prints it, and gives it back."""
    books = served.directory / "books"
    served.define("clients", "jobs:\n  cl-work: {python: 'cl_work:work'}\n")
    served.script(
        "cl_work.py",
        f"""
        import os

        def work(payload, context):
            line = f"{{payload['client']}} {{payload['n']}}"
            books = os.open({str(books)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(books, (line + chr(10)).encode())
            os.close(books)
            print(line)
            return payload["n"] * payload["n"]
        """,
    )
    in_force(served, "cl-work")
    return served


def absent(client: str) -> str | None:
    """Why a client cannot take part on this machine."""
    program = {"curl": "curl", "node": "node"}.get(client, "bash")
    return None if shutil.which(program) else f"the {client} client needs {program}, which is not installed"


@pytest.mark.parametrize("client", ["curl", "node"])
def test_the_clients_of_other_languages_are_there(client: str) -> None:
    if reason := absent(client):
        pytest.skip(reason)


@pytest.mark.slow
def test_five_kinds_of_client_use_one_daemon_at_once_and_every_run_is_executed_once(working: Host) -> None:
    taking_part = {name: client for name, client in CLIENTS.items() if absent(name) is None}
    environment = os.environ | {"PYTHON": sys.executable}
    started = {
        name: subprocess.Popen(
            [*words, working.socket, str(count)], cwd=ROOT, env=environment, stdout=-1, stderr=-1, text=True
        )
        for name, (words, count) in taking_part.items()
    }
    told: dict[str, dict[str, Any]] = {}
    for name, process in started.items():
        said, wrong = process.communicate(timeout=120)
        assert process.returncode == 0, f"{name}: {wrong[-2000:]}\n{working.log()[-2000:]}"
        told[name] = json.loads(said)
    for name, (_, count) in taking_part.items():
        assert sorted(result for result, _ in told[name].values()) == [n * n for n in range(count)]
        assert {text for _, text in told[name].values()} == {f"{name} {n}\n" for n in range(count)}
    assert sum(len(runs) for runs in told.values()) == len({run for runs in told.values() for run in runs})
    lines = Counter((working.directory / "books").read_text().splitlines())
    assert lines == Counter(f"{name} {n}" for name, (_, count) in taking_part.items() for n in range(count))
