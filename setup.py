"""What is built has the version of the git tags: metadata and the package itself, from a checkout or from an sdist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
_DECLARED = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)


def version() -> str:
    """That of the sdist this is, else what `packaging/version` says. Raises where that refuses."""
    about = ROOT / "PKG-INFO"
    if about.exists():
        return next(line for line in about.read_text().splitlines() if line.startswith("Version: ")).split()[1]
    return subprocess.run(
        [ROOT / "packaging" / "version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


class Stamped(build_py):
    """Writes the version into the copy that is built; what a checkout is run from stays as it is."""

    def run(self) -> None:
        super().run()
        built: Any = Path(self.build_lib) / "jobd" / "__init__.py"
        if not self.editable_mode:
            text = built.read_text()
            built.unlink()  # a copy may be a hard link
            built.write_text(_DECLARED.sub(f'__version__ = "{version()}"', text))


setup(version=version(), cmdclass={"build_py": Stamped})
