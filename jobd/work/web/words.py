"""What a definition may say of a request: URLs, headers and statuses, read when it is loaded."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from jobd.core import places
from jobd.core.executors import Fault, Misread
from jobd.core.model import Json
from jobd.core.options import not_a_text, text
from jobd.core.shown import shown

URL_SCHEMA = {"type": "string", "description": "http:// or https://; ${payload.key} may stand after the host."}
HEADERS_SCHEMA = {"type": "object", "additionalProperties": {"type": "string"}}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RANGE = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?|([1-5])xx", re.ASCII)
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})
_MOST_HEADER = 8192


def url(value: Json) -> str:
    """A URL whose scheme and host stand there: a payload may fill in what follows, never where it goes."""
    given = text(value)
    if fault := _url_fault(given):
        raise ValueError(f"{shown(given)} {fault}")
    return given


def _url_fault(given: str) -> str | None:
    if _CONTROL.search(given) or " " in given:
        return "holds a space or a control character (write %20 for a space)"
    try:
        parts = urlsplit(given)
        has_place = "${" in parts.netloc
        port = None if has_place else parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if has_place:
        return "takes its host from the payload (only what follows the host may come from there)"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "is not a URL of http:// or https:// with a host"
    if "@" in parts.netloc:
        return "holds a password or a user (use headers, Authorization)"
    return None if given.isascii() else "holds letters that are not ASCII (percent-encode them)"


def filled_url(template: str, payload: Json) -> str:
    """The URL with values of the payload put in, each as one piece of it. Raises Misread."""
    return places.filled(template, payload, _piece)


def _piece(value: str) -> str:
    if value in ("", ".", ".."):
        raise Misread(([], f"gives {value!r} for a piece of the url, which would change its path"))
    return quote(value, safe="", errors="replace")


def headers(value: Json) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"{shown(value)} is not a mapping (write Name: value below it)")
    faults: list[Fault] = []
    for name, content in value.items():
        if not _TOKEN.fullmatch(name):
            faults.append(([name], f"{shown(name)} cannot name a header"))
        elif name.lower() in _OURS:
            faults.append(([name], "is set by jobd itself (leave it out)"))
        elif not isinstance(content, str):
            faults.append(([name], not_a_text(content)))
        elif fault := header_fault(content):
            faults.append(([name], fault))
    if faults:
        raise Misread(*faults)
    return dict(value)


def header_fault(content: str) -> str | None:
    """Why a text cannot be the value of a header; None if it can."""
    if _CONTROL.search(content.replace("\t", " ")):
        return "holds a line break or a control character, which no header may"
    if len(content) > _MOST_HEADER:
        return f"is longer than {_MOST_HEADER} characters"
    try:
        content.encode("latin-1")
    except UnicodeEncodeError:
        return "holds a letter beyond Latin-1, which no header may"
    return None


def filled_headers(template: dict[str, str], payload: Json) -> tuple[tuple[str, str], ...]:
    """The headers with values of the payload put in. Raises Misread where one would no longer be one."""
    made = []
    for name, content in template.items():
        filled = places.filled(content, payload)
        if fault := header_fault(filled):
            raise Misread(([], f"gives a value for the header {name} that {fault}"))
        made.append((name, filled))
    return tuple(made)


def statuses(value: Json) -> list[list[int]]:
    """Ranges of statuses: 200, "2xx", "200-299", or a list of these."""
    return [_range(one) for one in (value if isinstance(value, list) else [value])]


def _range(value: Any) -> list[int]:
    found = _RANGE.fullmatch(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if found is None:
        raise ValueError(f"{shown(value)} is not a status (write 200, 2xx, or 200-204)")
    first, last, kind = found.groups()
    return [int(kind) * 100, int(kind) * 100 + 99] if kind else [int(first), int(last or first)]


def is_among(status: int, ranges: list[list[int]]) -> bool:
    return any(first <= status <= last for first, last in ranges)
