"""The plug-ins that docs/extending.md shows, taken from the page and brought to a daemon as a package is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until

SHOWN = blocks(ROOT / "docs" / "extending.md")


def the(language: str, holding: str) -> Block:
    (found,) = [block for block in SHOWN if block.language == language and holding in block.text]
    return found


@pytest.fixture
def extended(make_host: MakeHost, tmp_path: Path) -> Host:
    """A host whose python_path has the page's package and whose files have the page's definitions and settings."""
    host = make_host()
    counted = host.directory / "events.json"
    host.configure(the("yaml", "sinks:").text.replace("/var/lib/tally/events.json", str(counted)))
    package = host.scripts / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "abacus.py").write_text(the("python", "class Abacus").text)
    (package / "tally.py").write_text(the("python", "class Tally").text)
    about = host.scripts / "my_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    points = [block.text for block in SHOWN if block.language == "toml" and "decimal" not in block.text]
    # entry_points.txt has the table's last name for its section, and no quotes
    text = "\n".join(points).replace('[project.entry-points."', "[").replace('"]', "]").replace('"', "")
    (about / "entry_points.txt").write_text(text)
    host.define("sums", the("yaml", "abacus:").text)
    return host.start()


@pytest.mark.slow
def test_the_executor_and_the_sink_of_the_page_do_what_it_says(extended: Host) -> None:
    assert extended.status()["problems"] == []
    with extended.client() as client:
        run = client.wait(client.submit("sum", {"add": [1, 2]}), 60.0)
        assert (run["state"], run["result"]) == ("succeeded", {"total": 3})
        failed = client.wait(client.submit("sum", {"add": [8, 3]}), 60.0)
        assert (failed["state"], failed["exit_code"], failed["error"]) == ("failed", 9, "not enough beads")
    counted = extended.directory / "events.json"
    until(lambda: counted.exists() and counted.read_text() == "2", 60.0, "the sink has counted both")


def test_the_serializer_and_the_ids_of_the_page_are_what_jobd_takes() -> None:
    from datetime import datetime
    from typing import Protocol

    import jobd
    from jobd.core.sources import Reading

    names: dict[str, Any] = {"Protocol": Protocol, "datetime": datetime, "Reading": Reading}
    for holding in ("class Decimals", "class Clock", "class FromHost"):
        text = the("python", holding).text.partition("\nwriter, history")[0]
        exec(compile(text, holding, "exec", dont_inherit=True), names)
    enveloped = jobd.envelope({"amount": 1}, names["serializer"])
    assert enveloped["$serializer"] == ["decimal", 2]
    assert names["FromHost"](7).after(0) == 7 * 10**12 + 1
