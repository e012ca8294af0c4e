"""A job that asks jobd's own metrics page over HTTP and judges the answer."""

from __future__ import annotations

import re
import urllib.request
from typing import Any

from jobd.client import Client


def check_metrics(payload: dict[str, Any] | None) -> dict[str, Any]:
    """Fetch the metrics page; raise where it is not served or does not look like jobd's. Returns figures from it.

    The address is `payload["url"]`, or what the daemon itself says: the example's port is whichever was free.
    """
    url = (payload or {}).get("url") or _own_address()
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the address is jobd's own or the operator's
        text = answer.read(4 * 1024 * 1024).decode()
    version = re.search(r'^jobd_build_info\{[^}]*version="([^"]+)"', text, re.MULTILINE)
    if not version:
        raise RuntimeError(f"{url} answers, but not as jobd does: no jobd_build_info")
    samples = sum(not line.startswith("#") for line in text.splitlines())
    print(f"{url} is served: jobd {version[1]}, {samples} samples")
    return {"url": url, "version": version[1], "samples": samples}


def _own_address() -> str:
    address = Client().status()["metrics_address"]
    if not address:
        raise RuntimeError("this jobd serves no metrics (metrics.listen is off)")
    return f"http://{address}/metrics"
