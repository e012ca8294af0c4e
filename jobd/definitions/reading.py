"""From the files of one source to its jobs: every file read, parsed and laid over the others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from jobd.definitions import folder
from jobd.definitions.defined import Defined
from jobd.definitions.folder import Source
from jobd.definitions.guard import Guard
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.parse import Node, parse
from jobd.definitions.problems import Malformed, Place, Problem


def jobs(source: Source, rules: Rules, guard: Guard | None = None) -> tuple[Defined, ...]:
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
    if guard is not None and (why := guard.reads(source.main.path, _digest(texts))):
        raise Malformed(Problem(Place(source.main.path, 1, 1), "", why))
    return _interpreted(source, texts, rules)


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


def _digest(texts: Sequence[bytes]) -> str:
    """What names the content of a source."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(len(text).to_bytes(8, "little"))
        digest.update(text)
    return digest.hexdigest()
