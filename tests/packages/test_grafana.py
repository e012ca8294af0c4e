"""The dashboard: panels that Grafana can tell apart and draw, over metrics that there are, in PromQL that parses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobd.observe.declared import METRICS, Kind

PATH = Path(__file__).resolve().parents[2] / "packaging" / "grafana" / "jobd.json"
BOARD: dict[str, Any] = json.loads(PATH.read_text())
PANELS: list[dict[str, Any]] = [one for one in BOARD["panels"] if one["type"] != "row"]
TITLES = [f"{one['id']} {one['title']}" for one in PANELS]
SUFFIXES = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
SERVED = {metric.name + suffix: metric for metric in METRICS for suffix in SUFFIXES.get(metric.kind, ("",))}


def queries(panel: dict[str, Any]) -> Iterator[str]:
    yield from (target["expr"] for target in panel["targets"])


def test_panels_have_ids_of_their_own_and_none_lies_on_another() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_a_panel_says_its_unit_and_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"] and panel["title"] and panel["description"]
    refs = [target["refId"] for target in panel["targets"]]
    assert refs and len(set(refs)) == len(refs)
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_a_panel_asks_for_metrics_and_labels_that_there_are(panel: dict[str, Any]) -> None:
    known = {"le", "instance"}
    for query in queries(panel):
        named = set(re.findall(r"\bjobd_\w+", query))
        assert named and named <= set(SERVED), query
        labels = known | {label for name in named for label in SERVED[name].labels}
        asked = {label for inside in re.findall(r"\{([^}]*)\}", query) for label in re.findall(r"(\w+)\s*[=!]", inside)}
        asked |= {label for inside in re.findall(r"by \(([^)]*)\)", query) for label in re.findall(r"\w+", inside)}
        assert asked <= labels, query


def test_every_metric_but_those_of_single_jobs_is_on_it() -> None:
    shown = {
        SERVED[name].name for panel in PANELS for query in queries(panel) for name in re.findall(r"\bjobd_\w+", query)
    }
    assert {metric.name for metric in METRICS} - shown == {"jobd_job_last_run_exit_code", "jobd_job_running"}


def test_variables_are_those_that_are_asked_for() -> None:
    defined = {one["name"] for one in BOARD["templating"]["list"]}
    used = {name for name in re.findall(r"\$\{?(\w+)", PATH.read_text()) if not name.startswith("__")}
    assert used == defined
    for one in BOARD["templating"]["list"]:
        if one["type"] == "query":
            assert set(re.findall(r"\bjobd_\w+", one["definition"])) <= set(SERVED)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_every_query_parses(tmp_path: Path) -> None:
    asked = [query for panel in PANELS for query in queries(panel)]
    assert len(asked) > 25
    rules = [{"record": f"query:{number}", "expr": as_asked(query)} for number, query in enumerate(asked)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    command = ["promtool", "check", "rules", "rules.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def as_asked(query: str) -> str:
    """A query as Prometheus gets it from Grafana."""
    return re.sub(r"\$(instance|queue|job)\b", ".*", query.replace("$__rate_interval", "5m"))
