"""The characters of a file, and where in them the C parser found fault."""

from __future__ import annotations

from yaml import YAMLError

from jobd.definitions.problems import Malformed, Place, Problem

MAX_BYTES = 256 * 1024


def text_of(content: bytes, file: str) -> str:
    """The characters of a file. Raises Malformed for too many of them, and for what YAML cannot hold."""
    if len(content) > MAX_BYTES:
        raise malformed(Place(file, 1, 1), f"is larger than {MAX_BYTES // 1024} KiB; split it into several files")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before = content[: problem.start].decode("utf-8", "replace")
        place = _place_after(file, before)
        raise malformed(place, f"byte 0x{content[problem.start]:02x} is not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        raise malformed(_place_after(file, text[: text.index("\0")]), "holds a NUL character")
    return text


def translated(problem: YAMLError, file: str, text: str) -> Malformed:
    """The C parser's complaint in our shape."""
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    if mark is not None:
        said = getattr(problem, "problem", None) or getattr(problem, "context", None) or "cannot be read"
        place = Place(file, mark.line + 1, mark.column + 1)
        hint = " (indent with spaces, not tabs)" if _line_has_tab(text, mark.line) else ""
        return malformed(place, f"is not YAML: {said}{hint}")
    position = getattr(problem, "position", 0)
    reason = getattr(problem, "reason", "cannot be read")
    return malformed(_place_after(file, text[:position]), f"is not YAML: {reason}")


def _line_has_tab(text: str, line: int) -> bool:
    lines = text.split("\n")
    return line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]


def _place_after(file: str, text: str) -> Place:
    return Place(file, text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)


def malformed(place: Place, message: str) -> Malformed:
    return Malformed(Problem(place, "", message))
