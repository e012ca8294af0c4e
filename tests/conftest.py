"""The quick tests are those without the slow ones; they try properties on fewer examples too."""

from __future__ import annotations

import pytest

from tests.examples import be_patient, be_quick


def pytest_configure(config: pytest.Config) -> None:
    be_patient()
    if "not slow" in config.option.markexpr:
        be_quick()
