"""A fresh interpreter for one call: it starts as the worker's user, becomes what the job asks for, and calls.

A program of its own (see launch), so that nothing is in its memory but this one attempt. What it is to do comes in a
memory file, never by arguments or variables: those are for everybody to see, or for the job to fill.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from jobd.core.model import Json
from jobd.work import standing, tree
from jobd.work.accounts import Account
from jobd.work.bounds import Bounds
from jobd.work.executors import isolated
from jobd.work.sandbox import Enclosure
from jobd.work.standing import Stand
from jobd.work.wire import Order, Orders, from_bytes, to_bytes


def write(
    order: Order, env: Mapping[str, str], stand: Stand, python_path: Sequence[str], settings: Mapping[str, Json]
) -> int:
    """A memory file with all that `main` has to know."""
    told = {
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
    fd = os.memfd_create("told", os.MFD_CLOEXEC)
    left = memoryview(json.dumps(told).encode())
    while left:
        left = left[os.write(fd, left) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def main() -> None:
    """Run with three descriptors: of what is told, for saying how the place was taken, and for the answer."""
    told_fd, tell, answer = map(int, sys.argv[2:5])
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
        standing.say_ready(tell)
    except BaseException as problem:
        standing.complain(tell, problem)
        os._exit(status)
    try:
        status = isolated.run(order, told["env"], answer, settings)
    finally:
        # Threads that a job left are not waited for, as nobody waits for its processes.
        os._exit(status)


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
        enclosure=Enclosure(order.sandbox, tuple(told["own"]), told["scratch"]),
        leaf=told["leaf"],
    )
