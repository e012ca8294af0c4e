"""Manual pages as text: the little of man(7) that jobd's pages need."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from forms import Item

DATE = "2026-11-27"
"""When something was last said anew that the programs do not say themselves."""
_WIDTH = 72


def page(name: str, section: int, summary: str, *parts: str) -> str:
    """A whole page. `summary` is the line that `apropos` shows."""
    head = '.\\" Written by packaging/man; change what it is made of and run `make man`.'
    title = f".TH {name.upper()} {section} {DATE} jobd"
    return "\n".join([head, title, ".SH NAME", f"{escaped(name)} \\- {escaped(summary)}", *parts, ""])


def part(title: str, *lines: str) -> str:
    return _headed(f".SH {title}", lines)


def chapter(title: str, *lines: str) -> str:
    """A heading below that of a part."""
    return _headed(f'.SS "{escaped(title)}"', lines)


def _headed(head: str, lines: tuple[str, ...]) -> str:
    """A heading begins a paragraph already."""
    return "\n".join([head, "\n".join(lines).removeprefix(".PP\n")])


def paragraph(text: str) -> str:
    return f".PP\n{_filled(text)}"


def listed(items: Iterable[Item]) -> str:
    return "\n".join(f".TP\n\\fB{escaped(tag)}\\fR\n{_filled(text)}" for tag, text in items)


def _filled(text: str) -> str:
    return "\n".join(escaped(line) for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False))


def references(pages: str) -> str:
    return escaped(pages)


def verbatim(text: str, language: str = "text") -> str:  # noqa: ARG001 - a page of the manual shows no language
    """Lines that stay as they are."""
    return "\n".join([".PP", ".EX", *(escaped(line) or "\\&" for line in text.splitlines()), ".EE"])


def escaped(text: str) -> str:
    """Text that roff takes for nothing but text."""
    safe = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    )
    safe = safe.replace("~", "\\(ti").replace("…", "...").replace("“", '"').replace("”", '"').replace("→", "\\(->")
    return "\n".join(f"\\&{line}" if line[:1] == "." else line for line in safe.split("\n"))
