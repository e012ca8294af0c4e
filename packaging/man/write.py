"""Writes man/: `make man`. With --check it says which pages are not as they would be written, and writes none."""

from __future__ import annotations

import sys

from pages import ROOT, written


def main() -> int:
    """Exit 1 for pages that are out of date, under --check."""
    stale = []
    for name, text in written().items():
        path = ROOT / "man" / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            path.write_text(text)
    if "--check" in sys.argv[1:] and stale:
        print(f"out of date, run make man: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
