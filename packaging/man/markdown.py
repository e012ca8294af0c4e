"""Pages of docs/reference as text: the little of Markdown that they need."""

from __future__ import annotations

import re
from collections.abc import Iterable

from forms import Item

_REFERENCE = re.compile(r"\b(jobd(?:-\w+|\.yaml)?)\(\d\)")


def page(name: str, section: int, summary: str, *parts: str) -> str:  # noqa: ARG001 - sections are the manual's
    """A whole page."""
    head = "<!-- Written by packaging/man; change what it is made of and run `make man`. -->"
    return "\n\n".join([head, f"# {name}: {summary}", *parts]) + "\n"


def part(title: str, *lines: str) -> str:
    return "\n\n".join([f"## {title.capitalize()}", *lines])


def chapter(title: str, *lines: str) -> str:
    """A heading below that of a part."""
    return "\n\n".join([f"### `{title}`", *lines])


def paragraph(text: str) -> str:
    return references(text)


def listed(items: Iterable[Item]) -> str:
    return "\n".join(f"- `{tag}`: {references(text)}" for tag, text in items)


def references(text: str) -> str:
    """Text in which the other pages are links."""
    return _REFERENCE.sub(lambda found: f"[{found[1]}]({found[1]}.md)", escaped(text))


def verbatim(text: str, language: str = "text") -> str:
    """Lines that stay as they are."""
    return f"```{language}\n{text.strip()}\n```"


def escaped(text: str) -> str:
    """Text that Markdown takes for nothing but text, what stands between backquotes left alone."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(one if one[:1] == "`" else re.sub(r"([\\*<])", r"\\\1", one) for one in pieces)
