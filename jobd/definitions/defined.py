"""A job as its files define it: the job itself, where it stands, and its effective words with the place of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobd.core.model import Job
from jobd.definitions.layers import leaves
from jobd.definitions.parse import Node
from jobd.definitions.problems import Place


@dataclass(frozen=True, slots=True)
class Defined:
    """A valid definition. Document and sources are kept as text, since thousands of them stay in memory unread."""

    job: Job
    file: str
    line: int
    column: int
    document_text: str
    sources_text: str

    @property
    def document(self) -> Mapping[str, Any]:
        """The effective definition in the words of the YAML, defaults and drop-ins included."""
        document: dict[str, Any] = json.loads(self.document_text)
        return document

    @property
    def sources(self) -> Mapping[str, str]:
        """Effective dotted key → the `file:line` it came from."""
        found: dict[str, str] = {}
        for entry in filter(None, self.sources_text.split("\0")):
            key, file, line, _ = entry.split("\n")
            found[key] = f"{file or self.file}:{line}"
        return found

    def place(self, key: str) -> Place:
        """Where a dotted key was written, or the nearest one above it."""
        entries = (entry.split("\n") for entry in self.sources_text.split("\0") if entry)
        places = {known: Place(file or self.file, int(line), int(column)) for known, file, line, column in entries}
        while key and key not in places:
            key = key.rpartition(".")[0]
        return places.get(key, Place(self.file, self.line, self.column))


def defined(job: Job, words: Node, document: Mapping[str, Any]) -> Defined:
    """A definition out of its parts; `words` are its effective words, `document` the same without places."""
    at = words.named_at
    sources = "\0".join(
        _entry(key, node.named_at, at.file)
        for key, node in leaves(words)
        if "\n" not in key and "\n" not in node.named_at.file
    )
    # Files that were made alike have their words in the same lines.
    return Defined(job, at.file, at.line, at.column, _compact(document), sys.intern(sources))


def _entry(key: str, place: Place, file: str) -> str:
    """One value's place; the file is left out where it is the job's own."""
    return f"{key}\n{'' if place.file == file else place.file}\n{place.line}\n{place.column}"


def _compact(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
