"""A start takes from the cache what no file has changed since, and nothing that anything could have changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from jobd.core.allowlist import Allowlist
from jobd.definitions import reading
from jobd.definitions.cache import Cache, fingerprint
from jobd.definitions.catalog import Catalog
from jobd.definitions.interpret import Rules
from jobd.definitions.library import NO_PATIENCE, Library
from jobd.work.programs import Programs

FULL = """\
defaults: {timezone: Europe/Madrid, env: {A: b}}
jobs:
  full:
    command: [/bin/true, "${payload.x}"]
    schedule: ["0 2 * * *", "*/7 3 * * 1-5"]
    payload: {x: [1, "ü", null]}
    retry: {max_attempts: 3, jitter: 0.2}
    tags: [a, b]
    limits: {memory: 64MiB}
    unique: {key: [x], period: 1h}
  shell: {shell: "echo hello; true", uses: {gpu: 1}, needs: [full]}
  asks: {http: {url: "http://127.0.0.1/", expect_status: [200, 204]}}
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    directory = tmp_path / "jobs.d"
    directory.mkdir(mode=0o755)
    (directory / "full.yaml").write_text(FULL)
    (directory / "full.yaml.d").mkdir(mode=0o755)
    (directory / "full.yaml.d/more.yaml").write_text("jobs: {full: {timeout: 5m}}\n")
    (directory / "other.yaml").write_text("jobs: {other: {command: 'true'}}\n")
    return directory


class Reader:
    """Starts again and again; `parsed` are the files it had to parse the last time."""

    def __init__(self, jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs, self.path, self.parsed = jobs, str(jobs.parent / "definitions.cache"), list[str]()
        parse = reading.parse
        monkeypatch.setattr(
            reading, "parse", lambda text, file: self.parsed.append(Path(file).name) or parse(text, file)
        )

    def start(self, rules: Rules | None = None, release: str = "1.0") -> Catalog:
        rules = rules or Rules()
        self.parsed.clear()
        key = fingerprint(rules, release)
        cache = None if key is None else Cache(self.path, key)
        catalog = Library([str(self.jobs)], rules, cache=cache, patience=NO_PATIENCE).rescan()
        if cache is not None and cache.is_behind:
            list(cache.write())
        return catalog


@pytest.fixture
def reader(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(jobs, monkeypatch)


def test_the_second_start_parses_nothing_and_has_the_same_jobs(reader: Reader) -> None:
    first = reader.start()
    assert sorted(reader.parsed) == ["full.yaml", "more.yaml", "other.yaml"]
    assert len(first.jobs) == 4 and first.problems == ()
    second = reader.start()
    assert reader.parsed == []
    assert second == first
    assert os.stat(reader.path).st_mode & 0o777 == 0o600


def test_an_edit_costs_the_edited_file_alone_whatever_its_times_say(reader: Reader, jobs: Path) -> None:
    reader.start()
    before = os.stat(jobs / "other.yaml")
    (jobs / "other.yaml").write_text("jobs: {other: {command: 'yes'}}\n"[:-1] + "\n")
    os.utime(jobs / "other.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    catalog = reader.start()
    assert reader.parsed == ["other.yaml"]
    assert catalog.jobs["other"].document["command"] == "yes"
    (jobs / "full.yaml.d/more.yaml").write_text("jobs: {full: {timeout: 6m}}\n")
    catalog = reader.start()
    assert sorted(reader.parsed) == ["full.yaml", "more.yaml"]
    assert catalog.jobs["full"].job.timeout_seconds == 360
    reader.start()
    assert reader.parsed == []


def test_a_moved_file_is_read_anew_so_that_every_place_is_true(reader: Reader, jobs: Path) -> None:
    reader.start()
    (jobs / "other.yaml").rename(jobs / "moved.yaml")
    assert reader.start().jobs["other"].file == str(jobs / "moved.yaml")
    assert reader.parsed == ["moved.yaml"]


@pytest.mark.parametrize(
    ("rules", "release"),
    [(Rules(allow_shell=False), "1.0"), (Rules(run_as_allowed=("root",)), "1.0"), (Rules(resources={"gpu": 0}), "1.0"),
     (Rules(queues=frozenset({"x"})), "1.0"), (Rules(), "1.1")],
)  # fmt: skip
def test_other_settings_and_another_jobd_read_everything_anew(reader: Reader, rules: Rules, release: str) -> None:
    reader.start()
    reader.start(rules, release)
    assert sorted(reader.parsed) == ["full.yaml", "more.yaml", "other.yaml"]


def test_with_an_allowlist_nothing_is_taken_from_what_was_known(reader: Reader) -> None:
    reader.start()
    reader.start(replace(Rules(), allowlist=Allowlist(("true",), Programs())))
    assert "other.yaml" in reader.parsed


def test_a_bad_file_is_never_remembered(reader: Reader, jobs: Path) -> None:
    (jobs / "other.yaml").write_text("jobs: {other: {comand: 'true'}}\n")
    for _ in range(2):
        assert len(reader.start().problems) == 1
    assert reader.parsed == ["other.yaml"]


@pytest.mark.parametrize("harm", ["flip", "cut", "open", "link", "empty", "rubbish"])
def test_a_cache_that_is_not_whole_and_ours_alone_is_none(reader: Reader, harm: str) -> None:
    first = reader.start()
    path = Path(reader.path)
    text = path.read_bytes()
    match harm:
        case "flip":
            path.write_bytes(text.replace(b"/bin/true", b"/bin/evil"))
        case "cut":
            path.write_bytes(text[:-100])
        case "open":
            path.chmod(0o620)
        case "link":
            path.rename(path.with_suffix(".real"))
            path.symlink_to(path.with_suffix(".real"))
        case "empty":
            path.write_bytes(b"")
        case "rubbish":
            path.write_bytes(os.urandom(5000))
    assert reader.start() == first
    assert sorted(reader.parsed) == ["full.yaml", "more.yaml", "other.yaml"]
    reader.start()
    assert reader.parsed == []
