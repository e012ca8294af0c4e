"""Pictures of a workflow: a tree for a terminal, and the texts that Graphviz and Mermaid draw from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobd.cli.render import ending, span

Tree = dict[str, Any]
"""What the API answers: `run`, `items`, `edges`."""


def drawn(tree: Tree, now: datetime) -> list[str]:
    """The runs below one another, each below the first that it waits for; where it is met again it is only named."""
    drawing = _Drawing({run["id"]: run for run in tree["items"]}, tree["run"], now)
    for edge in tree["edges"]:
        drawing.below.setdefault(edge["parent"], []).append(edge)
    waiting = {edge["child"] for edge in tree["edges"]}
    lines = [line for run in sorted(drawing.runs) if run not in waiting for line in drawing.branch(run, "", "")]
    return [*lines, "… and more: these are the nearest"] if tree.get("truncated") else lines


@dataclass(slots=True)
class _Drawing:
    runs: dict[int, dict[str, Any]]
    asked: int
    now: datetime
    below: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def branch(self, run: int, head: str, rest: str) -> Iterator[str]:
        """A run and all below it; `head` comes before its own line, `rest` before those of the others."""
        if run in self._seen:
            yield f"{head}#{run} {self.runs[run]['job']} (above)"
            return
        self._seen.add(run)
        yield f"{head}#{run} {label(self.runs[run], self.now)}" + (" ◀" if run == self.asked else "")
        edges = self.below.get(run, [])
        for edge in edges:
            corner, line = ("└─ ", "   ") if edge is edges[-1] else ("├─ ", "│  ")
            yield from self.branch(edge["child"], f"{rest}{corner}{edge['on']}: ", rest + line)


def label(run: dict[str, Any], now: datetime) -> str:
    """A run in a few words: its job, how it stands, how long it took."""
    took = span(run if run.get("duration") is None else run | {"duration": round(run["duration"], 3)}, now)
    return f"{run['job']}  {ending(run).text}" + (f"  {took}" if took != "-" else "")


def dot(tree: Tree, now: datetime) -> list[str]:
    """The digraph for `dot -Tsvg`; a dashed arrow is not decided yet."""
    lines = ["digraph workflow {", "  rankdir=LR;", "  node [shape=box, style=rounded];"]
    for run in tree["items"]:
        bold = ", penwidth=2" if run["id"] == tree["run"] else ""
        lines.append(f'  {run["id"]} [label="#{run["id"]} {_below(run, now, chr(92) + "n")}"{bold}];')
    for edge in tree["edges"]:
        style = "" if edge["decision"] else ", style=dashed"
        lines.append(f'  {edge["parent"]} -> {edge["child"]} [label="{edge["on"]}"{style}];')
    return [*lines, "}"]


def mermaid(tree: Tree, now: datetime) -> list[str]:
    """The flowchart for Mermaid; a dotted arrow is not decided yet."""
    lines = ["flowchart LR"]
    lines += [f'  r{run["id"]}["#35;{run["id"]} {_below(run, now, "<br/>")}"]' for run in tree["items"]]
    for edge in tree["edges"]:
        arrow = "-->" if edge["decision"] else "-.->"
        lines.append(f"  r{edge['parent']} {arrow}|{edge['on']}| r{edge['child']}")
    return lines


def _below(run: dict[str, Any], now: datetime, newline: str) -> str:
    job, _, how = label(run, now).partition("  ")
    return f"{job}{newline}{how}"


FORMATS = {"tree": drawn, "dot": dot, "mermaid": mermaid}
