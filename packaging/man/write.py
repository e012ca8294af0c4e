"""Writes man/, docs/reference/ and the schema of answers: `make man`. With --check it says which of them are not as
they would be written, and writes none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import figures
import markdown
import roff
from pages import ROOT, written

from jobd.cli import answers


def main() -> int:
    """Exit 1 for pages that are out of date, under --check."""
    stale = []
    for path, text in pages().items():
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if "--check" not in sys.argv[1:]:
            path.write_text(text)
    if "--check" in sys.argv[1:] and stale:
        print(f"out of date, run make man: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


def pages() -> dict[Path, str]:
    """Every page by its file."""
    reference = ROOT / "docs" / "reference"
    told = {ROOT / "man" / name: text for name, text in written(roff).items()}
    told |= {reference / f"{name[:-2]}.md": text for name, text in written(markdown).items()}
    told[ROOT / "docs" / "jobd-ctl.schema.json"] = json.dumps(answers.document(), indent=1) + "\n"
    return told | {reference / "jobd-metrics.md": figures.page(markdown)}


if __name__ == "__main__":
    sys.exit(main())
