"""What the tests of work share."""

from __future__ import annotations

from pathlib import Path

import pytest

CALLABLES = """
import asyncio, ctypes, os, signal, subprocess, sys, threading, time
import jobd

def answer(payload): return {"got": payload}
def attempt(payload, context): return [context.run_id, context.attempt, context.job]
def speak(payload, context):
    context.progress(0.5, "half")
    print("to stdout"); print("to stderr", file=sys.stderr); context.log("logged")
    os.write(1, b"raw\\n"); subprocess.run(["echo", "child"]); ctypes.CDLL(None).write(2, b"c\\n", 2)
def fail(payload): raise ValueError("broken\\nbadly")
def leave(payload): sys.exit(payload)
def verdict(payload): raise getattr(jobd, payload[0])(*payload[1:])
def unanswerable(payload): return object()
def nap(payload): time.sleep(payload)
def touch_and_nap(payload):
    open(payload, "w").close()
    time.sleep(0.3)
def deaf(payload):
    while True:
        try: time.sleep(30)
        except BaseException: pass
async def waiting(payload):
    await asyncio.sleep(0)
    return payload
def whereabouts(payload): return {
    "uid": os.getuid(), "groups": os.getgroups(), "cwd": os.getcwd(), "env": dict(os.environ),
    "fds": sorted(os.listdir("/proc/self/fd")), "pid": os.getpid(), "sid": os.getsid(0), "ignored": ignored()}
def linger(payload):
    while not os.path.exists(payload): time.sleep(0.01)
    return whereabouts(payload)
def ignored(): return [line for line in open("/proc/self/status") if line.startswith(("SigIgn", "SigBlk"))]
def thread(payload): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
def litter(payload): subprocess.Popen(["sleep", payload])
def nothing(payload): pass
def nested(payload): return [] if payload == 1 else [nested(payload - 1)]
def forge(payload):
    for name in os.listdir("/proc/self/fd"):
        try:
            if "answer" in os.readlink("/proc/self/fd/" + name): os.pwrite(int(name), payload.encode(), 0)
        except OSError: pass
    os._exit(0)
class Thing:
    def __call__(self, payload): return "called"
    def method(self, payload): return "method"
thing = Thing()
"""


@pytest.fixture
def callables(tmp_path: Path) -> str:
    """A directory with a module `callables`, and `plain`, which needs nothing that another user may not read."""
    directory = tmp_path / "py"
    directory.mkdir()
    (directory / "callables.py").write_text(CALLABLES)
    (directory / "plain.py").write_text("import os\ndef who(payload): return [os.getuid(), os.getgroups()]\n")
    return str(directory)
