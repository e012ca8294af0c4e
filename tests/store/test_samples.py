"""What the store tells of runs for rolling figures."""

from __future__ import annotations

from datetime import timedelta

from jobd.core.states import RunState
from tests.store.builders import Store, job


def test_a_sample_tells_how_long_a_run_waited_and_took(store: Store) -> None:
    store.submit()
    store.now += timedelta(seconds=5)
    (reserved,) = store.reserve()
    began_at, store.now = store.now, store.now + timedelta(seconds=3)
    store.end(reserved.key, started_at=began_at)
    store.submit(job("other"))
    waiting, over = store.history.samples(None, None, 10)
    assert (waiting.job, waiting.state, waiting.waited_seconds, waiting.took_seconds) == ("other", "queued", None, None)
    assert (over.state, over.attempts, over.waited_seconds, over.took_seconds) == (RunState.SUCCEEDED, 1, 5.0, 3.0)
    assert [one.id for one in store.history.samples("backup", None, 10)] == [over.id]
    assert [one.id for one in store.history.samples(None, waiting.id, 10)] == [over.id]
