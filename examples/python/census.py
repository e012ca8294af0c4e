"""A job that counts files and bytes below a directory, and says how far it is."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any


def count(payload: dict[str, Any], context: Any) -> dict[str, Any]:
    """Files and bytes by suffix, the ten largest suffixes first. What may not be read is left out and counted."""
    top = Path(payload["directory"])
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    refused: list[str] = []
    children = sorted(entry.path for entry in os.scandir(top)) if top.is_dir() else []
    for number, child in enumerate(children, 1):
        for path in _below(child, refused):
            suffix = path.suffix.lower() or "(none)"
            files[suffix] += 1
            sizes[suffix] += path.lstat().st_size
        context.progress(number / len(children), child)
    if not children:
        raise FileNotFoundError(f"{top} is not a directory, or is empty")
    for suffix, total in sizes.most_common(10):
        print(f"{suffix:>12}  {files[suffix]:>7} files  {total:>12} bytes")
    return {"directory": str(top), "files": files.total(), "bytes": sizes.total(), "refused": len(refused)}


def _below(child: str, refused: list[str]) -> list[Path]:
    if not os.path.isdir(child) or os.path.islink(child):
        return [Path(child)]
    walk = os.walk(child, onerror=lambda error: refused.append(str(error)))
    return [Path(folder, name) for folder, _, names in walk for name in names]
