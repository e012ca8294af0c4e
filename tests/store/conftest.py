"""A store of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.builders import Store, open_at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_at(tmp_path)
    yield made
    made.close()
