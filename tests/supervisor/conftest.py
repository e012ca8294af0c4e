"""An engine of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.supervisor.stage import MakeStage, Stage, stage


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[MakeStage]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(stage(tmp_path, **options))


@pytest.fixture
def engine(make_stage: Any) -> Stage:
    made: Stage = make_stage()
    return made
