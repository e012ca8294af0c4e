"""Connections to servers: the address that is connected to is the one that is judged, and nothing outlasts its time."""

from __future__ import annotations

import io
import ipaddress
import os
import select
import socket
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

from jobd.core.executors import Failed

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Trust = tuple[str | None, str | None]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Deadline(Protocol):
    def left(self) -> float:
        """The seconds that are left. Raises TimeoutError where there are none."""


class Until:
    """An end on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def left(self) -> float:
        seconds = self._ends_at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        return seconds


@lru_cache(maxsize=8)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def is_denied(text: str, deny: Iterable[Network]) -> bool:
    """Whether an address lies in one of these networks, also where it is an IPv4 address in the dress of IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    meant = [one for one in (address, *_inside(address)) if one is not None]
    return any(one in network for network in deny for one in meant if one.version == network.version)


def _inside(address: Address) -> tuple[Address | None, ...]:
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    translated = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
    return address.ipv4_mapped, address.sixtofour, translated


def connected(host: str, port: int, deny: tuple[Network, ...], deadline: Deadline) -> socket.socket:
    """A connection to the first address of a host that takes one.

    The name is looked up once and each address judged before it is connected to, so no second answer of a name server
    counts; the peer is judged again once it is known, before a byte is sent. Raises Failed, TimeoutError or OSError.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    allowed = [one for one in found if not is_denied(str(one[4][0]), deny)]
    if not allowed:
        raise _refusal(host, str(found[0][4][0]))
    problem: OSError | None = None
    for family, kind, protocol, _, address in allowed:
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(deadline.left())
            made.connect(address)
            peer = str(made.getpeername()[0])
        except OSError as error:
            made.close()
            problem = error
            continue
        if is_denied(peer, deny):
            made.close()
            raise _refusal(host, peer)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    assert problem is not None
    raise problem


def _refusal(host: str, address: str) -> Failed:
    return Failed(f"{host} is at {address}, where policy.http_deny of jobd.yaml lets no job connect", retryable=False)


def trusted() -> Trust:
    """Whose certificates the job at hand trusts: those of the host, or of the file and directory it names."""
    return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


def secured(plain: socket.socket, host: str, deadline: Deadline) -> socket.socket:
    """The same connection under TLS, its certificate checked. Raises OSError (ssl.SSLError is one)."""
    plain.settimeout(deadline.left())
    try:
        made: socket.socket = _tls(*trusted()).wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise
    return made


@lru_cache(maxsize=8)
def _tls(cafile: str | None, capath: str | None) -> Any:
    """A context with the host's certificates, or those that the job's environment names."""
    import ssl  # megabytes that only workers who speak TLS have a use for

    return ssl.create_default_context(cafile=cafile, capath=capath)


class Stream:
    """A connection as http.client wants one, every read and write of which ends with the deadline of the moment."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.deadline: Deadline = Until(0)

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self.deadline.left())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self), 64 * 1024)

    def close(self) -> None:
        """Nothing: http.client closes before it has read. `end` is for whoever made it."""

    def end(self) -> None:
        self._sock.close()

    def forget(self) -> None:
        """Let go of the descriptor without closing it: after a fork the number may be somebody else's."""
        self._sock.detach()

    @property
    def is_quiet(self) -> bool:
        """Nothing has come since the last answer, not even the end."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)


class _Incoming(io.RawIOBase):
    def __init__(self, sock: socket.socket, stream: Stream) -> None:
        self._sock, self._stream = sock, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._stream.deadline.left())
        return self._sock.recv_into(buffer)
