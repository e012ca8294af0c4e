"""How documents lie over each other: drop-ins over files, jobs over defaults.

Mappings merge, everything else replaces, and null resets to what jobd does by itself. Inside a payload, and in what a
kind of work sends as JSON, null is data.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobd.definitions.parse import Node

_DATA = frozenset({"payload", "json", "params"})


def over(lower: Node | None, upper: Node) -> Node:
    """`upper` laid over `lower`; a null in `upper` hides what is below it, and is still there for `settled`."""
    if lower is None or not isinstance(lower.value, dict) or not isinstance(upper.value, dict):
        return upper
    merged = dict(lower.value)
    for key, node in upper.value.items():
        merged[key] = over(merged.get(key), node)
    return Node(merged, upper.place, upper.key)


def settled(node: Node) -> Node:
    """The same without the keys whose value is null: what is left is what was said."""
    if not isinstance(node.value, dict):
        return node
    if not _holds_null(node):
        return node
    kept = {
        key: inner if key in _DATA else settled(inner) for key, inner in node.value.items() if inner.value is not None
    }
    return Node(kept, node.place, node.key)


def leaves(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every value that is no mapping, with its dotted key; a payload counts as one value."""
    if isinstance(node.value, dict):
        for key, inner in node.value.items():
            dotted = f"{path}.{key}" if path else key
            if key == "payload" and not path:
                yield dotted, inner
            else:
                yield from leaves(inner, dotted)
    else:
        yield path, node


def _holds_null(node: Node) -> bool:
    if not isinstance(node.value, dict):
        return node.value is None
    return any(_holds_null(inner) for inner in node.value.values())
