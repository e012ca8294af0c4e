"""What `packaging/install-system` lays out, and that a second time changes nothing that is the administrator's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.systemd.box import ROOT

pytestmark = pytest.mark.slow


def test_installing_twice_lays_out_the_same_and_keeps_the_settings(tmp_path: Path) -> None:
    _install(tmp_path)
    first = _files(tmp_path)
    settings = tmp_path / "etc/jobd/jobd.yaml"
    settings.write_text("drain_timeout: 5s\n")
    _install(tmp_path)
    assert _files(tmp_path) == first
    assert settings.read_text() == "drain_timeout: 5s\n"


def test_what_is_installed_needs_nothing_of_the_checkout(tmp_path: Path) -> None:
    _install(tmp_path)
    command = (tmp_path / "usr/bin/jobd").read_text()
    assert str(ROOT) not in command
    library = tmp_path / "usr/lib/jobd/lib"
    program = (
        "import sys\nsys.path[:] = [path for path in sys.path if 'site-packages' not in path]\n"
        f"sys.path.insert(0, {str(library)!r})\n"
        "import jobd.cli.daemon, jobd.cli.ctl, jobd.supervisor.boot\nprint(jobd.__file__)"
    )
    python = command.splitlines()[0].removeprefix("#!").split()[0]
    shown = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True, cwd="/").stdout
    assert shown.strip() == str(library / "jobd/__init__.py")


def _install(root: Path) -> None:
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("jobd is installed from .venv, which is not there (make setup)")
    subprocess.run([ROOT / "packaging" / "install-system", "--root", root], check=True, capture_output=True)


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if "__pycache__" not in path.parts)
