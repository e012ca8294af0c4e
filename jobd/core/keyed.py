"""Values whose keys say that they are secret: `password=…`, `token: …`, `"client_secret": "…"`, `--password …`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

ALWAYS = (
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "accountkey",
    "account_key",
    "private_key",
    "privatekey",
    "passwd",
    "passphrase",
    "pwd",
    "_auth",
    '"auth"',
    "x-amz-signature",
    "?sig",
    "&sig",
)
"""Keys of secrets everywhere, whatever `logging.mask` says."""

_NOT_IT = frozenset(
    b"file path dir name names count id ids type types length len size expiry expires expire expiration ttl age in "
    b"reset policy policies field column url uri endpoint min max limit limits usage used required enabled disabled "
    b"manager provider store engine version prompt error failed changed attempts hint strength at on".split()
)
"""Ends of keys that speak about a secret: `token_type`, `password_file`."""
_NO_VALUE = frozenset(
    b"null none nil true false yes no required optional missing invalid expired undefined unset set empty redacted "
    b"hidden masked ok enabled disabled changed reset unknown incorrect wrong accepted rejected valid n/a the a an is "
    b"was for of to in on at by not has have been must should cannot can will from with and or it this that".split()
)
_VALUE = (
    rb"(?:[bruBRU]{0,2}\"((?:[^\"\\\r\n]|\\[^\r\n])+)\""
    rb"|[bruBRU]{0,2}'((?:[^'\\\r\n]|\\[^\r\n])+)'"
    rb"|\\+(?P<quote>[\"'])([^\r\n]+?)\\+(?P=quote)"
    rb"|([^\s\"'&,;<]+(?:[&,;](?![ \t]|[\w.-]+[=:]|$)[^\s\"'&,;<]+)*))"
)
_KEYED = re.compile(
    rb"([\w.-]{0,40}?)(\\{0,3}[\"'`])?(\])?[ \t]{0,8}(?:=>|:=|=(?!=)|:(?![:/]))[ \t]{0,8}" + _VALUE, re.M
)
_OPTION = re.compile(rb"([\w-]{0,20})[ \t]{1,8}(?!-)" + _VALUE, re.M)
_ELEMENT = re.compile(rb"([\w.-]{0,40})>([^<\r\n]+)<")
_PARTS = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_VARIABLE = re.compile(rb"\$\{.*\}?|\$\(.*|\$[A-Z_][A-Z0-9_]*|\{\{.*|%\(.*|<[^>]*>?|\*+|x{3,}|\.{3,}|-+")
_BEHIND = b")]}>.,:"

Span = tuple[int, int]


class KeyedValues:
    """Finds the values of keys that contain one of the words at their end."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.words = tuple({word.lower().encode(): None for word in (*keys, *ALWAYS) if word.strip()})

    def at(self, word: bytes) -> Callable[[bytes, int], Iterator[Span]]:
        """What looks for a value where `word` stands."""

        def find(text: bytes, at: int) -> Iterator[Span]:
            end = at + len(word)
            before = _before(text, at)
            match = _KEYED.match(text, end)
            if match is None and before.startswith(b"-"):
                match = _OPTION.match(text, end)
            if match is None:
                match = _ELEMENT.match(text, end) if b"<" in before else None
            if match is None or not _names_a_secret(text[at:end], match[1]) or before.endswith(b"unexpected "):
                return
            yield from _value(word, match)

        return find


def _before(text: bytes, at: int) -> bytes:
    """What of the same word comes before `at`, or the word before it with its space."""
    head = text[max(at - 40, 0) : at]
    cut = max(head.rstrip(b" ").rfind(b" "), head.rfind(b"\n"), head.rfind(b"\t"))
    return head[cut + 1 :]


def _names_a_secret(word: bytes, rest: bytes) -> bool:
    """Whether a key that goes on with `rest` after the word is one of a secret: `token2`, not `tokens`."""
    if not rest:
        return True
    if rest[:1].isalpha() and not (rest[:1].isupper() and word[-1:].islower()):
        return False
    parts = _PARTS.findall(rest)
    return not parts or parts[-1].lower() not in _NOT_IT


def _value(word: bytes, match: re.Match[bytes]) -> Iterator[Span]:
    group = match.lastindex or 0
    start, end = match.span(group)
    value = match[group]
    is_bare = group == match.re.groups
    if is_bare:
        stripped = value.rstrip(_BEHIND) or value
        end, value = start + len(stripped), stripped
        if value[:1] in (b"{", b"["):
            return
        if word == b"token" and value.isdigit() and len(value) <= 6:
            return
    if word == b"pwd" and value[:1] == b"/":
        return
    if value.lower() in _NO_VALUE or _VARIABLE.fullmatch(value):
        yield end, end  # looked at, and nothing to hide
        return
    yield start, end
