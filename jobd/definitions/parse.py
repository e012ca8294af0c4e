"""Bytes of YAML to a tree of values that know where they stand.

Limits are held on the event stream of PyYAML's C parser, before anything is built: its own composer overruns the
stack on deep nesting, and aliases make small files large. What keys mean is left to the schema.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from yaml import YAMLError, events
from yaml._yaml import CParser

from jobd.definitions.characters import malformed, text_of, translated
from jobd.definitions.problems import Place
from jobd.definitions.scalars import Octal, Scalar, resolve

MAX_DEPTH = 32
MAX_NODES = 10_000
_SHORT = 40
"""Characters of a text that is likely to be said again."""


class Node(NamedTuple):
    """A value, where it stands, and where the key stands that leads to it."""

    value: Scalar | list[Node] | dict[str, Node]
    place: Place
    key: Place | None = None

    @property
    def named_at(self) -> Place:
        """Where to point when the value as a whole is at fault: its key, if it has one."""
        return self.key or self.place


def parse(content: bytes, file: str) -> Node | None:
    """The document in `content`, or None if there is none (nothing, or only comments).

    Raises Malformed with the first problem; what follows it in the file cannot be trusted.
    """
    return _Tree(file).build(text_of(content, file))


def _shared(text: str) -> str:
    """The same text as one object: thousands of files say the same words, which stay in memory."""
    return sys.intern(text) if len(text) <= _SHORT else text


def plain(node: Node) -> Any:
    """The value without its places, octal numbers as they were written."""
    match node.value:
        case dict() as entries:
            return {key: plain(value) for key, value in entries.items()}
        case list() as items:
            return [plain(item) for item in items]
        case Octal() as number:
            return f"0o{number:o}"
        case scalar:
            return scalar


class _Open:
    """A sequence or mapping whose end has not been seen."""

    __slots__ = ("anchor", "entries", "height", "items", "key", "key_place", "merged", "nodes", "place")

    def __init__(self, place: Place, anchor: str | None, *, mapping: bool) -> None:
        self.place = place
        self.anchor = anchor
        self.items: list[Node] = []
        self.entries: dict[str, Node] | None = {} if mapping else None
        self.key: str | None = None
        self.key_place: Place | None = None
        self.merged: Node | None = None
        self.nodes = 1
        self.height = 1


class _Anchored(NamedTuple):
    node: Node
    nodes: int
    """Values below and including this one, aliases expanded."""
    height: int


_MERGE = "<<"
_MERGING = "\0<<"
"""Stands for the merge key while its value is awaited; no key of a file can be this."""


class _Tree:
    """Builds the tree of one document from events, one after the other, on a stack of its own."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._documents = 0
        self._root: Node | None = None

    def build(self, text: str) -> Node | None:
        take = {
            events.ScalarEvent: self._scalar,
            events.MappingStartEvent: self._begin,
            events.SequenceStartEvent: self._begin,
            events.MappingEndEvent: self._end,
            events.SequenceEndEvent: self._end,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._document,
        }
        try:
            parser = CParser(text)
            while (event := parser.get_event()) is not None:
                if (step := take.get(event.__class__)) is not None:
                    step(event)
        except YAMLError as problem:
            raise translated(problem, self._file, text) from None
        return self._root

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise malformed(self._place(event), "holds a second document; put it into a file of its own")

    def _place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _scalar(self, event: Any) -> None:
        place = self._place(event)
        text = _shared(event.value)
        if event.tag is not None:
            raise malformed(place, f"the tag {event.tag} is not allowed (write a plain value, or a quoted text)")
        if not event.implicit[0]:
            if "\0" in text:
                raise malformed(place, "a text must not hold a NUL character")
            self._add(Node(text, place), 1, 0, event.anchor)
            return
        try:
            node = Node(resolve(text), place)
        except ValueError as problem:
            raise malformed(place, str(problem)) from None
        self._add(node, 1, 0, event.anchor, is_merge=text == _MERGE)

    def _begin(self, event: Any) -> None:
        place = self._place(event)
        if event.tag is not None:
            raise malformed(place, f"the tag {event.tag} is not allowed")
        if self._stack and self._stack[-1].entries is not None and self._stack[-1].key is None:
            raise malformed(place, "a key must be a text, not a list or a mapping")
        if len(self._stack) >= MAX_DEPTH:
            raise malformed(place, f"is nested deeper than {MAX_DEPTH} levels")
        self._count(1, place)
        mapping = isinstance(event, events.MappingStartEvent)
        self._stack.append(_Open(place, event.anchor, mapping=mapping))

    def _end(self, _event: Any) -> None:
        done = self._stack.pop()
        if done.merged is not None and done.entries is not None:
            _merge(done.entries, done.merged)
        value = done.items if done.entries is None else done.entries
        self._nodes -= done.nodes
        self._add(Node(value, done.place), done.nodes, done.height, done.anchor)

    def _alias(self, event: Any) -> None:
        place = self._place(event)
        if any(level.anchor == event.anchor for level in self._stack):
            raise malformed(place, f"*{event.anchor} stands for something that contains it")
        if event.anchor not in self._anchors:
            raise malformed(place, f"*{event.anchor} is not defined above (&{event.anchor})")
        found = self._anchors[event.anchor]
        if len(self._stack) + found.height > MAX_DEPTH:
            raise malformed(place, f"is nested deeper than {MAX_DEPTH} levels with *{event.anchor} expanded")
        self._add(found.node, found.nodes, found.height, None)

    def _count(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise malformed(place, f"holds more than {MAX_NODES:,} values with aliases expanded; split the file")

    def _add(self, node: Node, nodes: int, height: int, anchor: str | None, *, is_merge: bool = False) -> None:
        """Put a finished value where it belongs: below the innermost open collection, or at the root."""
        self._count(nodes, node.place)
        if anchor is not None:
            self._anchors[anchor] = _Anchored(node, nodes, height)
        if not self._stack:
            self._root = node
            return
        level = self._stack[-1]
        level.nodes += nodes
        if height >= level.height:
            level.height = height + 1
        if level.entries is None:
            level.items.append(node)
        elif level.key is None:
            level.key, level.key_place = self._key(level, node, is_merge), node.place
        elif level.key == _MERGING:
            _remember_merge(level, node)
        else:
            level.entries[level.key] = Node(node.value, node.place, level.key_place)
            level.key = None

    def _key(self, level: _Open, node: Node, is_merge: bool) -> str:
        key = node.value
        if is_merge:
            if level.merged is not None:
                raise malformed(node.place, "the key << is given twice (merge a list: <<: [*a, *b])")
            return _MERGING
        if not isinstance(key, str):
            shown = "null" if key is None else str(key).lower() if isinstance(key, bool) else key
            raise malformed(node.place, f'the key {shown} is not a text (put it in quotes: "{shown}")')
        if level.entries is not None and key in level.entries:
            raise malformed(node.place, f'the key "{key}" is given twice (first in line {_line(level, key)})')
        return key


def _remember_merge(level: _Open, node: Node) -> None:
    parts = node.value if isinstance(node.value, list) else [node]
    if not all(isinstance(part.value, dict) for part in parts):
        raise malformed(node.place, "<< takes a mapping or a list of mappings")
    level.merged, level.key = node, None


def _merge(entries: dict[str, Node], merged: Node) -> None:
    """Add what a merge key brings: a key that is there already stays, earlier mappings go before later ones."""
    for part in merged.value if isinstance(merged.value, list) else [merged]:
        if isinstance(part.value, dict):
            for key, node in part.value.items():
                entries.setdefault(key, node)


def _line(level: _Open, key: str) -> int:
    return level.entries[key].named_at.line if level.entries else 0
