"""From the files of one source to its jobs: every file read, parsed and laid over the others."""

from __future__ import annotations

from jobd.definitions import folder
from jobd.definitions.defined import Defined
from jobd.definitions.folder import Source
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.parse import Node, parse
from jobd.definitions.problems import Malformed, Problem


def jobs(source: Source, rules: Rules) -> tuple[Defined, ...]:
    """The jobs of one source. Raises Malformed with every problem, folder.Changed if it is not what was listed."""
    if source.problems:
        raise Malformed(*source.problems)
    main = _document(source.main)
    if main is None:
        return ()
    problems: list[Problem] = []
    drop_ins: list[Node] = []
    for found in source.drop_ins:
        try:
            if (node := _document(found)) is not None:
                drop_ins.append(node)
        except Malformed as malformed:
            problems += malformed.problems
    if problems:
        raise Malformed(*problems)
    return interpret(main, drop_ins, rules)


def _document(found: folder.Found) -> Node | None:
    return parse(folder.read(found), found.path)
