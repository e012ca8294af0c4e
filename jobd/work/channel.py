"""A buffered, non-blocking stream of messages over one socket: the same for the supervisor's side and the worker's.

A frame is four bytes of length (big endian) and that many bytes of JSON.
"""

from __future__ import annotations

import socket
import struct

from jobd.work.wire import Message, from_bytes, to_bytes

_LENGTH = struct.Struct(">I")
_MOST = 64 * 1024 * 1024
_PIECE = 256 * 1024


class Channel:
    """Owns its socket. After the peer has gone `closed` is true, and what it had sent before was still received."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.set_inheritable(False)
        self.socket = sock
        self.closed = False
        self._incoming = bytearray()
        self._outgoing = bytearray()

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def has_unsent(self) -> bool:
        return bool(self._outgoing) and not self.closed

    def put(self, message: Message) -> None:
        """Add a message to what the next `flush` sends."""
        data = to_bytes(message)
        self._outgoing += _LENGTH.pack(len(data))
        self._outgoing += data

    def flush(self) -> None:
        """Send what the socket takes now; the rest stays for the next call."""
        while self._outgoing and not self.closed:
            try:
                sent = self.socket.send(self._outgoing)
            except BlockingIOError:
                return
            except OSError:
                # The peer is gone. What it sent before it went may still be unread: only `receive` says closed.
                self._outgoing.clear()
                return
            del self._outgoing[:sent]

    def receive(self) -> list[Message]:
        """Every whole message that has arrived, without waiting for more."""
        while not self.closed:
            try:
                piece = self.socket.recv(_PIECE)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            if not piece:
                self.closed = True
                break
            self._incoming += piece
            if len(piece) < _PIECE:
                break
        return self._frames()

    def close(self) -> None:
        self.closed = True
        self.socket.close()

    def _frames(self) -> list[Message]:
        messages, start = [], 0
        while len(self._incoming) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._incoming, start)
            if length > _MOST:
                self.closed = True
                break
            end = start + _LENGTH.size + length
            if end > len(self._incoming):
                break
            messages.append(from_bytes(bytes(self._incoming[start + _LENGTH.size : end])))
            start = end
        del self._incoming[:start]
        return messages
