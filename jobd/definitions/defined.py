"""A job as its files define it: the job itself, where it stands, and its effective words with the place of each."""

from __future__ import annotations

import json
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
            key, file, line = entry.split("\n")
            found[key] = f"{file or self.file}:{line}"
        return found

    def place(self, key: str) -> Place:
        """Where a dotted key was written, or the nearest one above it."""
        sources = self.sources
        while key and key not in sources:
            key = key.rpartition(".")[0]
        file, _, line = sources.get(key, f"{self.file}:{self.line}").rpartition(":")
        return Place(file, int(line), 1)


def defined(job: Job, words: Node, document: Mapping[str, Any]) -> Defined:
    """A definition out of its parts; `words` are its effective words, `document` the same without places."""
    at = words.named_at
    sources = "\0".join(
        f"{key}\n{'' if node.named_at.file == at.file else node.named_at.file}\n{node.named_at.line}"
        for key, node in leaves(words)
        if "\n" not in key and "\n" not in node.named_at.file
    )
    return Defined(job, at.file, at.line, at.column, _compact(document), sources)


def _compact(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
