"""Secrets that show by themselves, whatever stands around them: keys of known services, JWTs, random words.

All of them are long and without a space, so the long words of a text are found first and looked at one by one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator

from jobd.core.prefixes import KEYS

Span = tuple[int, int]

_SHORTEST = 16
_CLASSES = bytes(ord("a") if chr(code) in ".-_" or (code < 128 and chr(code).isalnum()) else 32 for code in range(256))
_LONG = b"a" * _SHORTEST
_LATER_PART = re.compile(rb"(?<=[.-])(?=([A-Za-z0-9]{2}))")
_BY_HEAD: dict[bytes, list[tuple[bytes, re.Pattern[bytes]]]] = {}
for _prefix, _rest in KEYS.items():
    _BY_HEAD.setdefault(_prefix[:2], []).append((_prefix, _rest))
_JWT = re.compile(
    rb"(?<![A-Za-z0-9_-])(e[yw][A-Za-z0-9_-]{6,4000})\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]*)((?:\.[A-Za-z0-9_-]*){0,2})"
)
_RANDOM = re.compile(rb"[A-Za-z0-9]{32,63}")
_TURNS = re.compile(rb"[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])")
_DIGEST_BEFORE = re.compile(rb"(?:sha\d+|sha|md5|blake\w*|digest|etag|checksum|integrity)\W{0,3}$", re.I)
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def spans(text: bytes) -> list[Span]:
    """Where such secrets stand in `text`."""
    classes = text.translate(_CLASSES)
    found: list[Span] = []
    at = classes.find(_LONG)
    while at >= 0:
        end = classes.find(b" ", at + _SHORTEST)
        end = len(text) if end < 0 else end
        found += _of_word(text, at, end)
        at = classes.find(_LONG, end)
    return found


def decoded(part: bytes) -> bytes:
    """What base64, with or without its padding, stands for; nothing where it is none."""
    bare = part.rstrip(b"=").translate(_TO_STANDARD)
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _of_word(text: bytes, start: int, end: int) -> list[Span]:
    word = text[start:end]
    found = _service_keys(text, start, word[:2])
    if b"-" in word or b"." in word:
        for part in _LATER_PART.finditer(word):
            if not found or start + part.start() >= found[-1][1]:
                found += _service_keys(text, start + part.start(), part[1])
        if b"ey" in word or b"ew" in word:
            found += _jwts(start, word)
    elif len(word) >= 32 and word.lower() != word != word.upper():
        found += _random(text, start, end)
    return found


def _service_keys(text: bytes, at: int, head: bytes) -> list[Span]:
    found: list[Span] = []
    for prefix, rest in _BY_HEAD.get(head, ()):
        match = rest.match(text, at + len(prefix)) if text.startswith(prefix, at) else None
        if match is not None:
            found.append((at, match.end()))
    return found


def _jwts(start: int, word: bytes) -> Iterator[Span]:
    """Parts in base64url that decode to JSON: header and claims of a signed token, the header of an encrypted one."""
    for match in _JWT.finditer(word):
        header, is_encrypted = _json_object(match[1]), match[4].count(b".") == 2
        if header is not None and ("alg" in header if is_encrypted else _json_object(match[2]) is not None):
            yield start + match.start(), start + match.end()


def _json_object(part: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(decoded(part))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _random(text: bytes, start: int, end: int) -> Iterator[Span]:
    """A word of 32 letters and digits or more that nobody would choose: capitals, small letters and digits by turns.

    A digest is no such word (it is of one case), nor is a piece of something longer (base64, a path, a host name).
    """
    if _RANDOM.fullmatch(text, start, end) is None:
        return
    word, around = text[start:end], text[max(start - 1, 0) : start] + text[end : end + 1]
    if any(code in b"+/=%\\" or code >= 128 for code in around) or word.startswith(b"Qm"):
        return
    if len(_TURNS.findall(word)) >= 4 and _DIGEST_BEFORE.search(text, max(start - 16, 0), start) is None:
        yield start, end
