"""A job's sandbox as settings of a systemd service."""

from __future__ import annotations

from collections.abc import Callable

from jobd.core import hardening
from jobd.core.model import Sandbox


def settings(sandbox: Sandbox, quote: Callable[[str], str]) -> list[str]:
    """The lines of the service; `quote` makes one word of a path."""
    if sandbox.strict:
        return [*hardening.settings(sandbox, quote), "CapabilityBoundingSet="]
    said = {
        "NoNewPrivileges=yes": sandbox.no_new_privileges,
        "PrivateTmp=yes": sandbox.private_tmp,
        "ProtectSystem=strict": sandbox.read_only_root,
        "ProtectHome=read-only": sandbox.read_only_root,
        "PrivateDevices=yes": sandbox.read_only_root,
        "PrivateNetwork=yes": sandbox.no_network,
        "CapabilityBoundingSet=": "all" in sandbox.drop_capabilities,
    }
    lines = [line for line, is_meant in said.items() if is_meant]
    if sandbox.read_write_paths:
        lines.append(f"ReadWritePaths={' '.join(map(quote, sandbox.read_write_paths))}")
    if names := [f"CAP_{name.upper()}" for name in sandbox.drop_capabilities if name != "all"]:
        lines.append(f"CapabilityBoundingSet=~{' '.join(names)}")
    return lines
