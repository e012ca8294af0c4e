"""Examples that need no daemon: definitions and settings by the real readers, data by its parser, links and verbs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest

from jobd.cli.ctl import VERBS, group
from jobd.definitions.check import check
from jobd.supervisor import settings
from tests.docs.elsewhere import unused
from tests.docs.pages import JOB_KEYS, LANGUAGES, PAGES, ROOT, Block, blocks, examples, name, prose, read
from tests.docs.pages import settings as settings_shown


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_example_says_what_it_is(page: Path) -> None:
    assert [f"{block}: {block.language}" for block in blocks(page) if block.language not in LANGUAGES] == []
    indented = re.findall(r"\n\n    \S.*", prose(page))
    assert indented == [], "an example stands in a fence with its language"


OF_THE_PAGES_PLUGIN = "abacus:"
"""tests/docs/test_extending.py has jobd take what only a plug-in of the page understands."""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_yaml_is_taken_by_jobds_own_readers(page: Path, tmp_path: Path) -> None:
    path = tmp_path / "jobd.yaml"
    path.write_text(json.dumps(settings_shown(page)))
    rules = settings.load(str(path), environ={}).rules
    wrong: list[str] = []
    for block in blocks(page):
        if block.language == "yaml" and OF_THE_PAGES_PLUGIN not in block.text:
            (tmp_path / "example.yaml").write_text(as_definitions(block))
            wrong += [f"{block}: {one}" for one in check([str(tmp_path / "example.yaml")], rules).problems]
    assert wrong == []


def as_definitions(block: Block) -> str:
    """What a block says of jobs: as it stands, or the jobs out of it, or a job of the keys that it shows."""
    document = read(block)
    if set(document) <= {"jobs", "defaults"} and "jobs" in document:
        return block.text
    if set(document) <= JOB_KEYS - {"defaults"}:
        return json.dumps({"jobs": {"job": {"command": "true"} | document}})
    return json.dumps({"jobs": document.get("jobs", {})})


@pytest.mark.parametrize("block", examples("text"), ids=str)
def test_no_command_line_passes_for_a_picture(block: Block) -> None:
    typed = re.findall(r"^(?:\$ )?(?:jobd|jobd-ctl|curl|sudo|make|systemctl|pip|pipx) .*", block.text, re.MULTILINE)
    assert [line for line in typed if "[" not in line] == [], "a synopsis has brackets, and a command line is `sh`"


@pytest.mark.parametrize("block", examples("json", "toml"), ids=str)
def test_data_parses(block: Block) -> None:
    {"json": json.loads, "toml": tomllib.loads}[block.language](block.text)


@pytest.mark.parametrize("block", examples("python"), ids=str)
def test_python_is_python(block: Block) -> None:
    compile(block.text, str(block), "exec", dont_inherit=True)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    astray = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        meant = (page.parent / unquote(path)).resolve() if path else page
        if not meant.exists() or (anchor and anchor not in anchors(meant)):
            astray.append(target)
    assert astray == []


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)\)", prose(index))}
    pages = {page for page in PAGES if page not in (index, ROOT / "README.md") and page.parent.name != "decisions"}
    assert pages - linked == set()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges make them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_verbs_and_options_in_running_text_are_there(page: Path) -> None:
    wrong = []
    for quoted in re.findall(r"`(?:… |jobd-ctl )([a-z][^`]*)`", prose(page).replace("\n", " ")):
        words = quoted.replace("|", " ").replace("[", " ").replace("]", " ").split()
        wrong += [f"jobd-ctl {quoted}"] if words[0] not in VERBS or not options(words) <= known(words) else []
    assert wrong == []


def options(words: list[str]) -> set[str]:
    before = words[: words.index("--")] if "--" in words else words
    return {word.partition("=")[0] for word in before if re.match(r"--?[a-z]", word)}


def known(words: list[str]) -> set[str]:
    """The options of a verb, of the families and verbs below it that are named, and those of jobd-ctl itself."""
    context, found = click.Context(group), {"--help"}
    command: Any = group
    for word in ["", *words]:
        inner = command.get_command(context, word) if word and isinstance(command, click.Group) else None
        command = inner or command
        found |= {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    return found


def test_what_is_run_elsewhere_is_on_some_page() -> None:
    assert unused() == set()
