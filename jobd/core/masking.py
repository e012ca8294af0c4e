"""Takes secrets out of text on its way to people: the values a run was given first, then what looks like a secret.

A secret becomes `***` and nothing else changes. `Stream` takes text in pieces and gives the same whatever the pieces.
What is stored is never touched; whoever hands text out decides to mask it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from jobd.core.disguises import Marks, forms
from jobd.core.looks import Span
from jobd.core.tells import Tells

MASK = b"***"
_CUT = "…".encode()
_LONGEST_LINE = 8 * 1024
"""A longer one is given out in pieces: whoever masks is held up no longer than one of them takes."""
_REACH = 512
"""So far back from its end a piece of a long line is looked at for what may begin there and go on in the next one."""
_REST_OF_WORD = re.compile(rb"[^\s\"'<>]*")
_LINE_END = re.compile(rb"[\r\n]")
_KEY_BEGINS = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINE = re.compile(rb"[A-Za-z0-9+/=\s\\>|]*|[ \t]*[A-Za-z-]{2,30}: [^\r\n]*")
_LONG_WORD = re.compile(rb"\S{8,}$")


class Masker:
    """Knows the values of secrets in every form, and what secrets look like."""

    def __init__(self, keys: Iterable[str] = (), values: Iterable[bytes] = (), *, tells: Tells | None = None) -> None:
        self._tells = tells or Tells(keys)
        found = {form for value in values for form in forms(value)}
        self._forms = sorted(found, key=len, reverse=True)
        self._longest = len(self._forms[0]) if found else 0
        self._exact = re.compile(_alternatives(self._forms)) if found else None
        self._marks = Marks(found)
        self._is_of_lines = not any(b"\n" in form for form in found)
        """No known value goes over the end of a line."""
        self._heads: dict[bytes, list[bytes]] = {}
        for form in self._forms:
            self._heads.setdefault(form[:2], []).append(form)
        self._begins = re.compile(b"(?=" + b"|".join(map(re.escape, self._heads)) + b")", re.S) if found else None

    def knowing(self, values: Iterable[bytes]) -> Masker:
        """A masker that also takes out these values."""
        return Masker(values=values, tells=self._tells)

    def stream(self, skip: int = 0) -> Stream:
        """For text that comes in pieces; the first `skip` bytes are looked at and not given out."""
        return Stream(self, skip)

    def mask(self, data: bytes) -> bytes:
        stream = self.stream()
        return stream.feed(data) + stream.close()

    def text(self, text: str) -> str:
        """A sentence with its secrets taken out, and where it was cut (`…`) the beginning of one as well."""
        data = text.encode("utf-8", "surrogatepass")
        if data.endswith(_CUT):
            kept = data[: -len(_CUT)]
            data = kept[: self.open_from(kept)] + _CUT
        return self.mask(data).decode("utf-8", "surrogatepass")

    def words(self, words: Sequence[str]) -> list[str]:
        """The arguments of a command, of which one may say what the next one is."""
        shown: list[str] = []
        for before, word in zip(["", *words], words, strict=False):
            front = f"{before} " if before.startswith("-") and " " not in before else ""
            masked = self.text(front + word)
            shown.append(masked[len(front) :] if masked.startswith(front) else self.text(word))
        return shown

    def known(self, data: bytes) -> list[Span]:
        """Where values that are known stand."""
        if self._exact is None or not self._marks.are_in(data):
            return []
        return [match.span() for match in self._exact.finditer(data)]

    def guessed(self, lines: bytes) -> list[Span]:
        """Where secrets seem to stand in whole lines."""
        return self._tells.spans(lines)

    def open_from(self, data: bytes) -> int:
        """Where the first known value begins that may go on behind the end of `data`; its length where none does."""
        if self._begins is None or (self._is_of_lines and data.endswith(b"\n")):
            return len(data)
        for match in self._begins.finditer(data, max(len(data) - self._longest + 1, 0)):
            at = match.start()
            tail = data[at:]
            if any(len(form) > len(tail) and form.startswith(tail) for form in self._heads[tail[:2]]):
                return at
        is_open = data and any(form[0] == data[-1] for form in self._forms)
        return len(data) - 1 if is_open else len(data)

    def unfinished_from(self, data: bytes) -> int:
        """Where in its last line something begins that may turn out to be a secret when the line goes on."""
        upto = self.open_from(data)
        start = _line_start_before(data, upto)
        return self._before_tells(data, start, upto)

    def cut_at(self, data: bytes) -> int:
        """Where to cut a line that is too long to wait for its end: no value goes on there, and as a rule no guess."""
        upto = self.open_from(data)
        return self._before_tells(data, max(upto - _REACH, 0), upto) or upto

    def _before_tells(self, data: bytes, start: int, upto: int) -> int:
        word = _LONG_WORD.search(data, start, upto)
        return min(word.start() if word else upto, start + self._tells.first(data[start:upto]))


class Stream:
    """Masks text that comes in pieces. A line is given out once it is complete, and no known value is open in it."""

    def __init__(self, masker: Masker, skip: int = 0) -> None:
        self._masker = masker
        self._held = b""
        self._given = skip
        """How much of what is held has been given out already, or never will be."""
        self._is_in_key = False
        self._is_in_word = False
        """What was given out last is masked and goes on."""

    def feed(self, data: bytes) -> bytes:
        """What can be given out now that `data` has come."""
        self._held += data
        if len(self._held) >= max(_LONGEST_LINE, 4 * self._masker._longest):
            return self._settle(self._line_start(), or_cut_at=self._masker.cut_at(self._held))
        return self._settle(self._line_start())

    def pause(self) -> bytes:
        """What can be given out of an unfinished line because nothing more has come for a while."""
        upto = self._masker.unfinished_from(self._held)
        if upto <= self._given or self._is_in_key:
            return b""
        shown = self._show(upto, self._spans(self._held, self._masker.known(self._held))[0])
        self._given = upto
        return shown

    def close(self) -> bytes:
        """The rest, when nothing more comes."""
        return self._settle(len(self._held))

    def _line_start(self) -> int:
        """The end of the last line that is complete and in which no known value is open."""
        return _line_start_before(self._held, self._masker.open_from(self._held))

    def _settle(self, upto: int, or_cut_at: int = 0) -> bytes:
        """Give out what comes before `upto`, the start of a line, or for want of one before the cut."""
        known = self._masker.known(self._held)
        for start, end in known:
            if start < upto < end:
                upto = _line_start_before(self._held, start)
        is_cut = not upto and or_cut_at > 0
        upto = upto or or_cut_at
        if not upto:
            return b""
        spans, self._is_in_key = self._spans(self._held[:upto], known)
        shown = self._show(upto, spans)
        self._is_in_word = is_cut and any(end >= upto for _, end in spans)
        self._held, self._given = self._held[upto:], max(self._given - upto, 0)
        return shown

    def _spans(self, data: bytes, known: list[Span]) -> tuple[list[Span], bool]:
        in_key, is_in_key = _private_key(data, self._is_in_key)
        spans = known + self._masker.guessed(data) + in_key
        if self._is_in_word:
            rest = _REST_OF_WORD.match(data)
            spans.append((0, rest.end() if rest else 0))
        return spans, is_in_key

    def _show(self, upto: int, spans: list[Span]) -> bytes:
        if not spans:
            return self._held[self._given : upto]
        parts: list[bytes] = []
        at = self._given
        for start, end in _merged(spans):
            if end <= self._given or start >= upto:
                continue
            if not (start == 0 and self._is_in_word):
                parts += (self._held[at:start], MASK)
            at = max(at, end)
        parts.append(self._held[at:upto])
        return b"".join(parts)


def _alternatives(forms: list[bytes], depth: int = 3) -> bytes:
    """A pattern for any of these, the first that holds; those that begin alike share the look at their beginning."""
    if depth == 0 or len(forms) < 3:
        return b"(?:" + b"|".join(map(re.escape, forms)) + b")"
    by_head: dict[bytes, list[bytes]] = {}
    for form in forms:
        by_head.setdefault(form[:1], []).append(form[1:])
    branches = (re.escape(head) + _alternatives(rest, depth - 1) for head, rest in by_head.items())
    return b"(?:" + b"|".join(branches) + b")"


def _line_start_before(data: bytes, end: int) -> int:
    return max(data.rfind(b"\n", 0, end), data.rfind(b"\r", 0, end)) + 1


def _merged(spans: list[Span]) -> list[Span]:
    """The spans in order, those that overlap made one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _private_key(data: bytes, is_inside: bool) -> tuple[list[Span], bool]:
    """The lines of private keys in PEM between BEGIN and END, and whether the last line is one of those."""
    spans: list[Span] = []
    at = 0
    while at < len(data):
        if not is_inside:
            begin = _KEY_BEGINS.search(data, at) if b"PRIVATE KEY" in data else None
            if begin is None:
                break
            at, is_inside = begin.end(), True
        match = _LINE_END.search(data, at)
        end = match.start() if match else len(data)
        last = data.find(b"-----END", at, end)
        body = data[at : last if last >= 0 else end]
        is_first = data[at - 5 : at] == b"-----"
        if not is_first and last < 0 and _KEY_LINE.fullmatch(body) is None:
            is_inside = False
            continue
        spans += _without_space(data, at, at + len(body))
        is_inside = last < 0
        at = end + 1
    return spans, is_inside


def _without_space(data: bytes, start: int, end: int) -> list[Span]:
    body = data[start:end]
    left = len(body) - len(body.lstrip())
    return [(start + left, start + len(body.rstrip()))] if body.strip() else []
