"""A fresh interpreter for one call: it starts as the worker's user, becomes what the job asks for, and calls.

A program of its own (see launch), so that nothing is in its memory but this one attempt. What it is to do comes in a
memory file, never by arguments or variables: those are for everybody to see, or for the job to fill.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from jobd.core.model import Json, Sandbox
from jobd.work import spawned, standing, tree
from jobd.work.accounts import Account
from jobd.work.bounds import Bounds
from jobd.work.executors import isolated
from jobd.work.orders import Order
from jobd.work.sandbox import Enclosure
from jobd.work.standing import Stand
from jobd.work.wire import Orders, from_bytes, to_bytes


def write(
    order: Order,
    env: Mapping[str, str],
    stand: Stand,
    python_path: Sequence[str],
    settings: Mapping[str, Json],
    argv: Sequence[str] = (),
) -> int:
    """A memory file with all that `main` has to know; with `argv` there is a program to execute and nothing to call."""
    told = {
        "argv": list(argv),
        "orders": to_bytes(Orders((order,))).decode(errors="surrogatepass"),
        "env": dict(env),
        "account": asdict(stand.account),
        "cwd": stand.cwd,
        "leaf": stand.leaf,
        "own": stand.enclosure.own,
        "scratch": stand.enclosure.scratch,
        "python_path": list(python_path),
        # Code of a job is told nothing of jobd.yaml.
        "settings": isolated.settings_for(order, settings),
    }
    return spawned.memory_file("told", json.dumps(told).encode())


def main() -> None:
    """Run with three descriptors: of what is told, for saying how the place was taken, and for the answer.

    Without arguments they come by the socket that is the standard input, and the standard streams with them.
    """
    told_fd, tell, answer = map(int, sys.argv[2:5]) if len(sys.argv) > 2 else _taken_over()
    status = 126
    try:
        told = _read(told_fd)
        for fd in (tell, answer):
            os.set_inheritable(fd, False)
        standing.default_signals()
        order = _order(told)
        tree.set_title(f"jobd: run {order.key}")
        for directory in reversed(told["python_path"]):
            sys.path.insert(0, directory)
        settings = isolated.prepare(order, told["settings"])
        standing.settle(_stand(told, order), tell)
        if told["argv"]:
            os.execvpe(told["argv"][0], told["argv"], told["env"])  # noqa: S606 - no shell is the point
        standing.say_ready(tell)
    except BaseException as problem:
        standing.complain(tell, problem)
        os._exit(status)
    try:
        status = isolated.run(order, told["env"], answer, settings)
    finally:
        # Threads that a job left are not waited for, as nobody waits for its processes.
        os._exit(status)


def _taken_over() -> tuple[int, int, int]:
    """Say hello to the worker by its socket, and take what it hands over (see strict)."""
    with socket.socket(fileno=os.dup(0)) as worker:
        worker.send(str(os.getpid()).encode())
        _, fds, _, _ = socket.recv_fds(worker, 1, 6)
    for fd, source in enumerate(fds[:3]):
        os.dup2(source, fd)
    standing.close_others(*fds[3:])
    told, tell, answer = fds[3:]
    return told, tell, answer


def _read(fd: int) -> dict[str, Any]:
    with open(fd, "rb") as file:
        told: dict[str, Any] = json.load(file)
    return told


def _order(told: Mapping[str, Any]) -> Order:
    bundle = from_bytes(told["orders"].encode(errors="surrogatepass"))
    assert isinstance(bundle, Orders)
    return bundle.orders[0]


def _stand(told: Mapping[str, Any], order: Order) -> Stand:
    account = Account(**told["account"])
    return Stand(
        account=replace(account, groups=tuple(account.groups)),
        cwd=told["cwd"],
        umask=order.umask,
        bounds=Bounds(order.nice, order.ionice, order.oom_score_adjust, order.limits),
        enclosure=Enclosure(_left_to_do(order.sandbox), tuple(told["own"]), told["scratch"]),
        leaf=told["leaf"],
    )


def _left_to_do(sandbox: Sandbox) -> Sandbox:
    """What of a sandbox is not made yet: systemd leaves a strict attempt what it takes to become somebody else."""
    return Sandbox(no_new_privileges=True, drop_capabilities=("all",)) if sandbox.strict else sandbox
