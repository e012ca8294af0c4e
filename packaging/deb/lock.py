"""Pins what the Debian package carries: every wheel by version and hash, for each Python and machine it is built for.

Run with .venv's Python and a network: `.venv/bin/python packaging/deb/lock.py`. It writes wheels-any.txt (pure Python,
shared) and wheels-3.X.txt (compiled, for one Python) beside itself; `make deb` installs from these alone, with the
options of pip that `--target PYTHON MACHINE` prints.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13")
"""Debian 12, Ubuntu 24.04, Debian 13."""
MACHINES = ("x86_64", "aarch64")
GLIBCS = ("2_5", "2_12", "2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34", "2_35", "2_36")
"""Debian 12 has 2.36."""
HEAD = (
    "# Written by packaging/deb/lock.py: what the Debian package carries. Change pyproject.toml and run that again.\n"
)

Pins = dict[tuple[str, str], set[str]]
"""(name, version) → SHA-256 of its wheels."""


def main() -> None:
    if sys.argv[1:2] == ["--target"]:
        print(*target(*sys.argv[2:]), sep="\n")
        return
    shared: Pins = defaultdict(set)
    compiled: dict[str, Pins] = {python: defaultdict(set) for python in PYTHONS}
    for python in PYTHONS:
        for machine in MACHINES:
            for wheel, digest in wheels(python, machine):
                name, version, *_, platform = wheel.removesuffix(".whl").split("-")
                pins = shared if platform == "any" else compiled[python]
                pins[name.lower().replace("_", "-"), version].add(digest)
    write("any", shared)
    for python, pins in compiled.items():
        write(python, pins)


def wheels(python: str, machine: str) -> list[tuple[str, str]]:
    """The wheels that a Python on a machine needs: file name and SHA-256."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
        subprocess.run([*command, "--dest", directory, *target(python, machine), *dependencies()], check=True)
        found = sorted(Path(directory).iterdir())
        return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in found]


def target(python: str, machine: str) -> list[str]:
    """Options of pip that ask for wheels of another Python and machine than its own."""
    platforms = [f"manylinux_{glibc}_{machine}" for glibc in GLIBCS]
    platforms += [f"manylinux{old}_{machine}" for old in ("1", "2010", "2014")]
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    return options + [f"--platform={platform}" for platform in platforms]


def dependencies() -> list[str]:
    return tomllib.loads((HERE.parent.parent / "pyproject.toml").read_text())["project"]["dependencies"]


def write(name: str, pins: Pins) -> None:
    lines = [HEAD]
    for (project, version), digests in sorted(pins.items()):
        hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(digests))
        lines.append(f"{project}=={version}{hashes}\n")
    (HERE / f"wheels-{name}.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
