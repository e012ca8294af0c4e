"""Where a forkserver that systemd starts meets the supervisor: what a manager starts inherits no descriptor of ours.

Handing descriptors to the manager (systemd-run --pipe) would take a message bus, which may not run or be restarted.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import time
from contextlib import suppress

_PATIENCE_SECONDS = 10.0
_LOOK_MILLISECONDS = 50
_CREDENTIALS = struct.Struct("3i")


class Meeting:
    """A socket in the runtime directory, which nobody but this user can connect to, for one who is expected."""

    def __init__(self, runtime_dir: str) -> None:
        self.path = os.path.join(runtime_dir, "forkserver.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        self._socket.bind(self.path)
        # Nobody can connect before it listens.
        os.chmod(self.path, 0o600)
        self._socket.listen(1)

    def wait(self, starter: subprocess.Popen[bytes]) -> tuple[socket.socket, int]:
        """The connection of who was expected, and a descriptor of its process.

        Raises OSError where the program that was to start it failed, and where nobody comes.
        """
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while not poll.poll(_LOOK_MILLISECONDS):
            if code := starter.poll():
                raise OSError(f"systemd-run ended with {code}: the manager starts no workers for jobd")
            if time.monotonic() > give_up_at:
                raise TimeoutError("no forkserver came within 10 s of asking the manager for one")
        sock, _ = self._socket.accept()
        pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if uid != os.geteuid():
            sock.close()
            raise PermissionError(f"uid {uid} came to {self.path} instead of the forkserver")
        return sock, os.pidfd_open(pid)

    def close(self) -> None:
        self._socket.close()
        with suppress(FileNotFoundError):
            os.unlink(self.path)
