"""Ten thousand runs on thirty-two workers: each executed exactly once. A million of them: `make soak`."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import until
from tests.e2e.soak import SETTINGS, Soak


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_ten_thousand_runs_are_executed_once_each(make_host: MakeHost) -> None:
    soak = Soak(make_host(SETTINGS), 10_000)
    soak.begin()
    threads = soak.submit()
    until(soak.settled, 150.0, "every run has succeeded")
    for thread in threads:
        thread.join(10.0)
    soak.check()
