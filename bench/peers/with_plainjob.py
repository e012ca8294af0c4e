"""plainjob on better-sqlite3: synchronous=NORMAL is its default, PEER_FULL=1 raises it to FULL, as jobd has it."""

from __future__ import annotations

import os
import subprocess

from harness import Peer, directory, serve

_FILE = directory() / "plainjob.db"
_FULL = "full" if os.environ.get("PEER_FULL") else "normal"


def _argv(mode: str, word: str = "") -> list[str]:
    here = os.path.dirname(os.path.abspath(__file__))
    return ["node", os.path.join(here, "plainjob.mjs"), mode, str(_FILE), _FULL, word]


class Plainjob(Peer):
    def __init__(self) -> None:
        super().__init__()
        self._kind = "stamped"

    def fresh(self) -> None:
        for end in ("", "-wal", "-shm"):
            _FILE.with_name(_FILE.name + end).unlink(missing_ok=True)
        self._kind = "stamped"

    def submit(self, clients: int, seconds: float) -> float:
        """As the harness measures it, with clients that are programs of Node."""
        pipe = subprocess.PIPE
        made = [
            subprocess.Popen(_argv("put", str(seconds)), stdin=pipe, stdout=pipe, text=True) for _ in range(clients)
        ]
        for process in made:
            assert process.stdout is not None
            process.stdout.readline()
        for process in made:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        total = sum(int(process.communicate(timeout=60)[0]) for process in made)
        return total / seconds

    def preload(self, count: int) -> None:
        self._kind = "nothing"
        subprocess.run(_argv("preload", str(count)), check=True)

    def workers(self, count: int) -> None:
        for _ in range(count):
            self.programs.start(*_argv("work", self._kind))

    def put_stamped(self) -> None:
        subprocess.run(_argv("stamped"), check=True)


if __name__ == "__main__":
    serve(Plainjob())
