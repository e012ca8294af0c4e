"""Copies jobd and every distribution it needs from the running Python's environment into one new directory."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run with one argument: the directory to make."""
    target = Path(sys.argv[1])
    shutil.copytree(ROOT / "jobd", target / "jobd", ignore=shutil.ignore_patterns("__pycache__"))
    for found in needed("jobd"):
        copy(found, target)


def needed(name: str) -> list[Distribution]:
    """What a distribution requires here, directly or not, without its extras and itself."""
    seen: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        found = distribution(waiting.pop())
        if found.name in seen:
            continue
        seen[found.name] = found
        wanted = (Requirement(text) for text in found.requires or ())
        waiting += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [found for known, found in sorted(seen.items()) if known != name]


def copy(found: Distribution, target: Path) -> None:
    """Copy the files of a distribution, its commands and compiled caches left out."""
    for file in found.files or ():
        if ".." in file.parts or "__pycache__" in file.parts:
            continue
        place = target / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file.locate(), place)


if __name__ == "__main__":
    main()
