"""From the files of one source to its jobs: every file read, parsed and laid over the others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from jobd.definitions import folder
from jobd.definitions.cache import Cache
from jobd.definitions.defined import Defined
from jobd.definitions.folder import Source
from jobd.definitions.guard import Guard
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.parse import Node, parse
from jobd.definitions.problems import Malformed, Place, Problem


def jobs(source: Source, rules: Rules, guard: Guard | None = None, cache: Cache | None = None) -> tuple[Defined, ...]:
    """The jobs of one source. Raises Malformed with every problem, folder.Changed if it is not what was listed."""
    if source.problems:
        raise Malformed(*source.problems)
    texts = [folder.read(source.main)]
    problems: list[Problem] = []
    for found in source.drop_ins:
        try:
            texts.append(folder.read(found))
        except Malformed as malformed:
            problems += malformed.problems
    if problems:
        raise Malformed(*problems)
    key = _digest(source, texts)
    if guard is not None and (why := guard.reads(source.main.path, key)):
        raise Malformed(Problem(Place(source.main.path, 1, 1), "", why))
    if cache is None:
        return _interpreted(source, texts, rules)
    known = cache.get(key)
    if known is None:
        cache.put(key, known := _interpreted(source, texts, rules))
    return known


def _interpreted(source: Source, texts: Sequence[bytes], rules: Rules) -> tuple[Defined, ...]:
    main = parse(texts[0], source.main.path)
    if main is None:
        return ()
    problems: list[Problem] = []
    drop_ins: list[Node] = []
    for found, text in zip(source.drop_ins, texts[1:], strict=True):
        try:
            if (node := parse(text, found.path)) is not None:
                drop_ins.append(node)
        except Malformed as malformed:
            problems += malformed.problems
    if problems:
        raise Malformed(*problems)
    return interpret(main, drop_ins, rules)


def _digest(source: Source, texts: Sequence[bytes]) -> str:
    """What names the content of a source, and where it is."""
    digest = hashlib.sha256()
    for found, text in zip(source.stamps, texts, strict=True):
        for part in (os.fsencode(found.path), text):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()
