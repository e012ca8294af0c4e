"""The pages a reader meets and their fenced examples, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobd.definitions.parse import parse, plain
from jobd.definitions.work import json_schema

JOB_KEYS = set(json_schema()["$defs"]["Job"]["properties"])
ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"sh", "console", "yaml", "json", "python", "toml", "text"}
"""Every fence says which of these it holds; `text` is for pictures alone."""
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced example. `line` is that of its first line, counted from 1."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(name(page), text.count("\n", 0, found.start(2)) + 1, found[1], found[2])
        for found in _FENCE.finditer(text)
    ]


def examples(*languages: str) -> list[Block]:
    """The blocks of all pages in these languages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def prose(page: Path) -> str:
    """A page without its examples, the lines still at their places."""
    return _FENCE.sub(lambda found: "\n" * found[0].count("\n"), page.read_text())


@dataclass(frozen=True)
class Command:
    """A command line as a reader would type it, and what a `console` block shows of its answer."""

    block: Block
    text: str
    answer: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.block}: {self.text.splitlines()[0]}"


def commands(page: Path) -> list[Command]:
    """Every command line of a page, and every program that speaks to a daemon, in order."""
    return [one for block in blocks(page) for one in _lines(block)]


def modules(page: Path) -> dict[str, str]:
    """Python that says in its first line where it belongs, by that path."""
    python = [block.text for block in blocks(page) if block.language == "python"]
    return {found[1]: text for text in python if (found := re.match(r"# (\S+\.py)\n", text))}


def settings(page: Path) -> dict[str, Any]:
    """All that a page shows of jobd.yaml, as one document."""
    whole: dict[str, Any] = {}
    for block in blocks(page):
        shown = read(block) if block.language == "yaml" else {}
        for key, value in shown.items() if not set(shown) <= JOB_KEYS - {"defaults"} else ():
            known = whole.get(key, {})
            whole |= {key: known | value if isinstance(value, dict) else value} if key != "jobs" else {}
    return whole


def read(block: Block) -> dict[str, Any]:
    node = parse(block.text.encode(), str(block))
    assert node is not None, f"{block} is empty"
    document: dict[str, Any] = plain(node)
    return document


def _lines(block: Block) -> Iterator[Command]:
    if block.language == "python" and "from jobd.client import" in block.text:
        yield Command(block, block.text)
    if block.language == "sh":
        for text in re.sub(r"\\\n\s*", " ", block.text).splitlines():
            if text.strip() and not text.startswith("#"):
                yield Command(block, text)
    if block.language != "console":
        return
    for asked in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        text, _, answer = asked.partition("\n")
        yield Command(block, text, tuple(answer.splitlines()))
