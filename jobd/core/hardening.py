"""What `sandbox: strict` means, as settings of a systemd service (systemd.exec(5))."""

from __future__ import annotations

from collections.abc import Callable

from jobd.core.model import Sandbox

_ALWAYS = (
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "ProtectSystem=strict",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
)


def settings(sandbox: Sandbox, quote: Callable[[str], str]) -> list[str]:
    """The lines of the service, but for its capabilities; `quote` makes one word of a path."""
    lines = list(_ALWAYS)
    if sandbox.no_network:
        lines.append("PrivateNetwork=yes")
    if sandbox.read_write_paths:
        lines.append(f"ReadWritePaths={' '.join(map(quote, sandbox.read_write_paths))}")
    return lines
