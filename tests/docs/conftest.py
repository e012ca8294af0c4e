"""The hosts of the end-to-end tests serve here too."""

from __future__ import annotations

from tests.e2e.conftest import make_host

__all__ = ["make_host"]
