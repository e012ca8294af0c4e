"""What the store tells of runs for rolling figures."""

from __future__ import annotations

from datetime import timedelta

from jobd.core.states import RunState
from tests.store.builders import NOW, Store, job


def test_a_sample_tells_how_long_a_run_waited_and_took(store: Store) -> None:
    store.submit()
    store.now += timedelta(seconds=5)
    (reserved,) = store.reserve()
    began_at, store.now = store.now, store.now + timedelta(seconds=3)
    store.end(reserved.key, started_at=began_at)
    store.submit(job("other"))
    (waiting, over), older = store.history.samples(None, NOW, None, 10)
    assert (waiting.job, waiting.state, waiting.waited_seconds, waiting.took_seconds) == ("other", "queued", None, None)
    assert (over.state, over.attempts, over.waited_seconds, over.took_seconds) == (RunState.SUCCEEDED, 1, 5.0, 3.0)
    assert older is None
    assert store.history.samples("backup", NOW, None, 10) == ([over], None)


def test_samples_come_in_pages_and_end_with_the_span(store: Store) -> None:
    store.submit()
    store.now += timedelta(hours=1)
    second = store.submit()[0]
    assert store.history.samples(None, NOW, None, 1)[1] == second
    assert len(store.history.samples(None, NOW, second, 1)[0]) == 1
    assert store.history.samples(None, store.now, second, 1) == ([], None)
