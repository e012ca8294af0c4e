"""The forms in which the value of a secret turns up in text: as it is, and as programs write it down."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Shorter values are not looked for: they would be found in every other word."""
_SHORTEST_LINE = 8
_LONGEST = 16 * 1024
"""Longer ones are files rather than words that turn up in text."""
_PLAIN = re.compile(rb"[A-Za-z0-9]+")
_SHORTEST_MARK = 4
_CLASSES = bytes(ord("a") if code < 128 and chr(code).isalnum() else 32 for code in range(256))
_RUN = b"a" * 12
"""A long run of letters and digits, once each of these has become an a."""


def forms(value: bytes) -> set[bytes]:
    """Every form of the value of a secret, and of each longer line of one that has several."""
    found: set[bytes] = set()
    if len(value) > _LONGEST:
        return found
    for part in _parts(value):
        found.update(form for form in _written(part) if len(form) >= SHORTEST)
    return found


class Marks:
    """Words of which a text has at least one wherever it has one of some forms: few of them, and quickly sought.

    What is written down in several ways has a run of letters and digits in common. Most of these runs are longer than
    any word of most texts, which then need not be asked for each.
    """

    def __init__(self, found: Iterable[bytes]) -> None:
        chosen: list[bytes] = []
        for form in sorted(found, key=len):
            if not any(mark in form for mark in chosen):
                run = max(_PLAIN.findall(form), key=len, default=b"")
                chosen.append(run if len(run) >= _SHORTEST_MARK else form)
        self._long = [mark for mark in chosen if len(mark) >= len(_RUN) and mark.isalnum()]
        self._short = [mark for mark in chosen if mark not in self._long]

    def are_in(self, text: bytes) -> bool:
        """Whether any of the forms may be in the text."""
        if any(mark in text for mark in self._short):
            return True
        return _RUN in text.translate(_CLASSES) and any(mark in text for mark in self._long)


def _parts(value: bytes) -> Iterator[bytes]:
    whole = value.strip(b"\r\n")
    if len(whole) >= SHORTEST:
        yield whole
    lines = whole.split(b"\n")
    if len(lines) > 1:
        yield from (line for line in map(bytes.strip, lines) if len(line) >= _SHORTEST_LINE)


def _written(value: bytes) -> Iterator[bytes]:
    yield value
    yield from _base64(value)
    yield value.hex().encode()
    yield value.hex().upper().encode()
    yield from _quoted_for_urls(value)
    yield from _escaped(value)


def _base64(value: bytes) -> Iterator[bytes]:
    """Base64 of the value by itself, and of those of its bits that fill characters at each of three alignments."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(value)
        for before in range(3):
            # The first characters also hold bits of what comes before the value, the last ones of what follows.
            start = (0, 2, 3)[before]
            end = (before + len(value)) * 8 // 6
            yield encode(bytes(before) + value)[start:end]


def _quoted_for_urls(value: bytes) -> Iterator[bytes]:
    for text in {quote(value, safe=""), quote(value), quote_plus(value)}:
        yield text.encode()
        yield _lower_escapes(text).encode()


def _lower_escapes(text: str) -> str:
    head, *rest = text.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _escaped(value: bytes) -> Iterator[bytes]:
    """As a JSON string (and one inside another), as a word of a shell, as Python shows it."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        yield repr(value)[2:-1].encode()
        return
    for once in _json(text):
        yield once.encode()
        yield once.replace("/", "\\/").encode()
        yield from (twice.encode() for twice in _json(once))
    yield shlex.quote(text).encode()
    yield repr(text)[1:-1].encode(errors="surrogatepass")


def _json(text: str) -> Iterable[str]:
    return {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
