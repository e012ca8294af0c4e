"""The sdist and the wheel: what is in them, their version, and that a wheel is all it takes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest

from tests.e2e.daemon import until

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = (".venv", ".jobd", ".git", ".*_cache", ".hypothesis", "__pycache__", "dist", "build", "*.egg-info")
ME = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def ran(*command: str | Path, at: Path, **environ: str) -> str:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False, env=os.environ | environ)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as a repository of its own, a commit after the tag of its version."""
    made = tmp_path_factory.mktemp("tree") / "jobd"
    shutil.copytree(ROOT, made, ignore=shutil.ignore_patterns(*SKIPPED), symlinks=True)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "All of it")):
        ran("git", *ME, *words, at=made)
    declared = re.search(r'__version__ = "(.*)"', (made / "jobd" / "__init__.py").read_text())
    assert declared is not None
    ran("git", *ME, "tag", f"v{declared[1]}", at=made)
    ran("git", *ME, "commit", "-q", "--allow-empty", "-m", "Something since", at=made)
    return made


@pytest.fixture(scope="module")
def built(tree: Path) -> Path:
    """The directory with both."""
    ran("packaging/build-dist", "out", at=tree, PYTHON_TO_BUILD=sys.executable)
    return tree / "out"


def the(built: Path, suffix: str) -> Path:
    (found,) = built.glob(f"*{suffix}")
    return found


def test_the_version_is_that_of_the_tags_and_the_wheel_of_the_sdist_has_it_too(tree: Path, built: Path) -> None:
    wanted = ran("packaging/version", at=tree).strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+\.dev1\+g[0-9a-f]{7}", wanted)
    assert the(built, ".tar.gz").name == f"jobd-{wanted}.tar.gz"
    assert the(built, ".whl").name == f"jobd-{wanted}-py3-none-any.whl"
    with zipfile.ZipFile(the(built, ".whl")) as wheel:
        assert f'__version__ = "{wanted}"' in wheel.read("jobd/__init__.py").decode()


def test_the_sdist_has_all_that_is_kept_under_version_control(tree: Path, built: Path) -> None:
    kept = set(ran("git", "ls-files", at=tree).splitlines()) - {".gitignore"}
    with tarfile.open(the(built, ".tar.gz")) as sdist:
        files = {one.name.partition("/")[2] for one in sdist if one.isfile()}
    made = {name for name in files if name.startswith("jobd.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert kept - files == set()
    assert files - kept - made == set()


def test_the_wheel_has_the_package_and_the_manual_and_nothing_else(tree: Path, built: Path) -> None:
    package = set(ran("git", "ls-files", "jobd", at=tree).splitlines())
    with zipfile.ZipFile(the(built, ".whl")) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    manual = {name.partition("/share/")[2] for name in names if ".data/data/" in name}
    assert {name for name in names if ".data/" not in name} == package
    assert manual == {f"man/man{page.name[-1]}/{page.name}" for page in (ROOT / "man").iterdir()}


def test_every_extra_says_what_it_brings(built: Path) -> None:
    with zipfile.ZipFile(the(built, ".whl")) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        about = message_from_string(wheel.read(name).decode())
    brings = {extra: [one for one in about.get_all("Requires-Dist", []) if f'extra == "{extra}"' in one]
              for extra in about.get_all("Provides-Extra", [])}  # fmt: skip
    assert {"systemd", "postgresql", "mysql", "otel"} <= set(brings)
    assert [extra for extra, wanted in brings.items() if not wanted] == []


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel in it, as pipx makes one."""
    venv = tmp_path_factory.mktemp("venv")
    ran(sys.executable, "-m", "venv", venv, at=venv)
    ran(venv / "bin" / "pip", "install", "--quiet", "--no-compile", the(built, ".whl"), at=venv)
    return venv / "bin"


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose path is short, with settings and a job."""
    made = Path(ran("mktemp", "-d", "-t", "jobd-XXXXXX", at=ROOT).strip())
    (made / "jobs.d").mkdir()
    (made / "jobs.d" / "hello.yaml").write_text("jobs:\n  hello: {shell: echo well}\n")
    lines = ["jobs_dirs: [jobs.d]", "state_dir: state", "runtime_dir: run", "metrics: {listen: 127.0.0.1:0}"]
    (made / "jobd.yaml").write_text("\n".join(lines) + "\n")
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_a_wheel_is_all_it_takes_to_run_a_job(installed: Path, built: Path, home: Path) -> None:
    wanted = the(built, ".tar.gz").name.removeprefix("jobd-").removesuffix(".tar.gz")
    assert ran(installed / "jobd", "--version", at=home) == f"jobd {wanted}\n"
    assert "Verbs:" in ran(installed / "jobd-ctl", "--help", at=home)
    clean = {"PATH": "/usr/local/bin:/usr/bin:/bin", "JOBD_SOCKET": str(home / "run" / "jobd.sock")}
    with open(home / "log", "wb") as log:
        command = [installed / "jobd", "--config", home / "jobd.yaml"]
        daemon = subprocess.Popen(command, cwd="/", env=clean, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:

        def serves() -> bool:
            assert daemon.poll() is None, (home / "log").read_text()
            asked = subprocess.run([installed / "jobd-ctl", "status"], env=clean, capture_output=True, check=False)
            return asked.returncode == 0

        until(serves, 60.0, "the daemon serves")
        done = subprocess.run(
            [installed / "jobd-ctl", "run", "hello", "--follow"], env=clean, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()
