"""What gives a secret away to one who does not know it: the words around it and the looks of it.

Each tell is a word that is sought first, which is quick, and a pattern that has to hold where the word stands. No
pattern reaches over the end of a line. This is for what was not declared: patterns miss some and are no promise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from jobd.core import looks
from jobd.core.keyed import KeyedValues
from jobd.core.looks import Span, decoded

_Find = Callable[[bytes, int], Iterable[Span]]

_STEMS = (b"pass", b"key", b"auth", b"sig")
"""Parts that several words have, so that most texts are asked for one of them only."""
_WORDLIKE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_BEARER = re.compile(rb"bearer[ \t]{1,8}[\"']?([A-Za-z0-9._~+/-]{3,}=*)(?![\w=])", re.I)
_BASIC = re.compile(rb"basic[ \t]{1,8}[\"']?([A-Za-z0-9+/]{6,}={0,2})", re.I)
_AUTHORIZATION = re.compile(
    rb"authorization[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?"
    rb"(?:(?:basic|bearer|token|apikey|api-key|negotiate|ntlm)[ \t]{1,8}([^\s\"',;]{3,})"
    rb"|(?:digest|aws4-hmac-sha256)[ \t]([^\r\n]{1,1000})|([^\s\"',;]{8,}))",
    re.I,
)
_URL = re.compile(rb"://[^\s/?#:@\"'<>]{0,128}:(?!\d{1,5}[/?#])([^\s\"'<>]{1,256})@")
_COOKIE = re.compile(rb"cookie[\"']?:[ \t]{0,8}([^\r\n]{1,8000})", re.I)
_PAIR = re.compile(rb"([^\s=;,\"']{1,100})=([^;\s\"',]{1,4096})")
_ATTRIBUTES = (b"path", b"domain", b"expires", b"max-age", b"samesite", b"priority", b"version")
_URL_REACHES = 400
_COMMAND_REACHES = 160
_OPTIONS = {
    b"curl ": re.compile(rb"-u|-(?:proxy-)?user"),
    b"sshpass": re.compile(rb"-p"),
    b"mysql": re.compile(rb"-p"),
    b"redis-cli": re.compile(rb"-a"),
    b"ldap": re.compile(rb"-w"),
    b"docker login": re.compile(rb"-p"),
}
"""What has to stand near a word for its pattern to hold: sought first, for patterns that look far are slow to fail."""
_COMMANDS = {
    b"curl ": re.compile(
        rb"curl [^\r\n|;]{0,120}?(?<=[ \t])(?:-u|--user|--proxy-user)[ \t=]?[\"']?[^\s:]{0,99}:([^\s\"']+)"
    ),
    b"sshpass": re.compile(rb"sshpass[ \t]+-p[ \t]?[\"']?([^\s\"']+)"),
    b"mysql": re.compile(rb"mysql[a-z]{0,10}[ \t][^\r\n|;]{0,120}?(?<=[ \t])-p([^\s\"']+)"),
    b"redis-cli": re.compile(rb"redis-cli[ \t][^\r\n|;]{0,120}?(?<=[ \t])-a[ \t]+([^\s]+)"),
    b"ldap": re.compile(rb"ldap[a-z]{3,10}[ \t][^\r\n|;]{0,120}?(?<=[ \t])-w[ \t]*([^\s]+)"),
    b"docker login": re.compile(rb"docker login[ \t][^\r\n|;]{0,120}?(?<=[ \t])-p[ \t]*([^\s]+)"),
    b"pass:": re.compile(rb"(?<=[ \t])pass:([^\s\"']+)"),
    b"hooks.slack.com/": re.compile(rb"hooks.slack.com/services/(T[A-Za-z0-9_]+/B[A-Za-z0-9_]+/[A-Za-z0-9]+)"),
    b"identified by": re.compile(rb"identified by[ \t]+(?:password[ \t]+)?'([^'\r\n]+)'", re.I),
}


class Tells:
    """Finds what looks like a secret; `keys` name values of which that is to be thought anyway."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        keyed = KeyedValues(keys)
        finds: list[tuple[bytes, _Find]] = [(word, keyed.at(word)) for word in keyed.words]
        finds += [(b"bearer", _bearer), (b"basic", _basic), (b"authorization", _authorization)]
        finds += [(b"cookie", _cookie), (b"://", _url)]
        finds += [(word, _grouped(pattern, _OPTIONS.get(word))) for word, pattern in _COMMANDS.items()]
        self._by_stem: dict[bytes, list[tuple[bytes, _Find]]] = {}
        for word, find in finds:
            stem = next((stem for stem in _STEMS if stem in word), word)
            self._by_stem.setdefault(stem, []).append((word, find))

    def spans(self, text: bytes) -> list[Span]:
        """Where in `text`, which is whole lines, secrets seem to be; in no order, and they may overlap."""
        low = text.lower()
        found = looks.spans(text)
        has_options = b" -" in low or b"\t-" in low
        for stem, finds in self._by_stem.items():
            if not has_options and stem in _OPTIONS:
                continue
            first = low.find(stem)
            if first >= 0:
                for word, find in finds:
                    at = low.find(word, max(first - len(word), 0))
                    while at >= 0:
                        spans = list(find(text, at))
                        found += spans
                        # Behind what was looked at, so that a hostile line costs no more than its length.
                        at = low.find(word, max([at + len(word), *(end for _, end in spans)]))
        return found

    def first(self, line: bytes) -> int:
        """Where the first word stands that a secret may follow; the length of `line` where there is none."""
        low = line.lower()
        return min((at for stem in self._by_stem if (at := low.find(stem)) >= 0), default=len(line))


def _bearer(text: bytes, at: int) -> Iterator[Span]:
    match = _BEARER.match(text, at)
    if match is not None and not _is_word_before(text, at) and not _is_prose(match[1]):
        yield match.span(1)


def _is_prose(word: bytes) -> bool:
    """Whether a word may as well be one of a sentence."""
    plain = word.rstrip(b".,").replace(b"-", b"")
    return plain.isalpha() and len(plain) < 20 and plain[1:].islower()


def _basic(text: bytes, at: int) -> Iterator[Span]:
    match = _BASIC.match(text, at)
    if match is not None and b":" in decoded(match[1]):
        yield match.span(1)


def _authorization(text: bytes, at: int) -> Iterator[Span]:
    match = _AUTHORIZATION.match(text, at)
    if match is None:
        return
    group = match.lastindex or 0
    if group and not (group == 3 and _is_prose(match[3])):
        yield match.span(group)


def _url(text: bytes, at: int) -> Iterator[Span]:
    if text.find(b"@", at, at + _URL_REACHES) < 0:
        return
    match = _URL.match(text, at)
    if match is not None:
        yield match.span(1)


def _cookie(text: bytes, at: int) -> Iterator[Span]:
    match = _COOKIE.match(text, at)
    if match is None:
        return
    for pair in _PAIR.finditer(text, *match.span(1)):
        if pair[1].lower() not in _ATTRIBUTES:
            yield pair.span(2)
    yield match.end(), match.end()  # all of it was looked at


def _grouped(pattern: re.Pattern[bytes], near: re.Pattern[bytes] | None) -> _Find:
    def find(text: bytes, at: int) -> Iterator[Span]:
        if near is not None and near.search(text, at, at + _COMMAND_REACHES) is None:
            return
        match = pattern.match(text, at)
        if match is not None:
            yield match.span(1)

    return find


def _is_word_before(text: bytes, at: int) -> bool:
    return at > 0 and text[at - 1] in _WORDLIKE
