"""The manual pages and docs/reference: as the programs are now, and sound roff."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobd.supervisor.configuration import Configuration

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(path.name for path in (ROOT / "man").iterdir())


def said(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)


def test_the_pages_say_what_the_programs_say() -> None:
    done = said(sys.executable, ROOT / "packaging" / "man" / "write.py", "--check")
    assert done.returncode == 0, done.stderr


def test_every_page_that_is_promised_is_there() -> None:
    reference = {path.name for path in (ROOT / "docs" / "reference").iterdir()}
    assert reference == {f"{page[:-2]}.md" for page in PAGES} | {"jobd-metrics.md"}
    assert PAGES == ["jobd-api.7", "jobd-ctl.1", "jobd-jobs.5", "jobd.8", "jobd.yaml.5"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_a_page_is_sound_to_groff(page: str) -> None:
    done = said("groff", "-man", "-ww", "-z", f"man/{page}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_a_page_is_sound_to_mandoc(page: str) -> None:
    done = said("mandoc", "-T", "lint", "-W", "warning", f"man/{page}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_key_of_the_settings_has_its_sentence() -> None:
    text = (ROOT / "man" / "jobd.yaml.5").read_text().replace("\\-", "-")
    for key, field in Configuration.model_fields.items():
        inner = getattr(type(field.default), "model_fields", None)
        for name in [f"{key}.{words.alias or one}" for one, words in inner.items()] if inner else [key]:
            assert f"\\fB{name}\\fR" in text, f"packaging/man/settings.py lacks {name}"


def test_every_key_of_a_job_has_its_sentence() -> None:
    from jobd.definitions.work import json_schema

    properties = json_schema()["$defs"]["Job"]["properties"]
    assert [key for key, value in properties.items() if not value.get("description")] == []
