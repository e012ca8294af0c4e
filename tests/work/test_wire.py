"""Messages come back as they went, by whatever pieces the socket delivers them, and from other versions too."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.model import (
    AttemptKey,
    Command,
    Directive,
    Ending,
    Finished,
    Job,
    Limits,
    ProcessIdentity,
    Python,
    Sandbox,
    Seen,
    Shell,
    Usage,
)
from jobd.core.states import Outcome, Trigger
from jobd.work.channel import Channel
from jobd.work.orders import Order, order_of
from jobd.work.wire import (
    Acknowledged,
    Gone,
    Hello,
    Hire,
    Hired,
    Message,
    NotHired,
    Orders,
    Progress,
    Ready,
    Report,
    Retire,
    Started,
    Stop,
    bundles,
    from_bytes,
    report_from_bytes,
    report_to_bytes,
    to_bytes,
)

KEY = AttemptKey(7, 2)
SELF = ProcessIdentity("boot", 12, 345)
NOW = datetime(2026, 3, 8, 7, 0, 0, 123456, UTC)
FULL = Ending(
    Outcome.FAILED, NOW, NOW + timedelta(seconds=1), 3, 9, "why", False, False, Directive("retry", 3.0, "r"),
    {"a": [1, None]}, Usage(0.5, 0.25, 4096, 10, 20, True, 2, 512, 1024, 7),
    (Seen(5, 4, "sh", "S", "do_wait", "sh -c x"), Seen(6, 5, "a b", "D", "-", "")), 0.5, "half",
)  # fmt: skip
ORDER = Order(
    KEY, "job", Command(("a", "b c")), "q", Trigger.SCHEDULE, NOW, 5, '{"x": 1}', 1.5, 2.5, (0, 3), "u", "g", "/c",
    (("A", "b"), ("C", "d\n")), 0o77, -5, "in", True, True, 99, "kill",
    ionice="idle", oom_score_adjust=5, env_files=("/a", "-/b"), total_seconds=7.5, watchdog_seconds=3.5,
    limits=Limits(files=9, cpu_time=1.5, best_effort=True, memory=4096, cpu=0.5),
    sandbox=Sandbox(read_only_root=True, read_write_paths=("/srv",), drop_capabilities=("chown",)),
)  # fmt: skip

MESSAGES: list[Message] = [
    Hire(3), Ready(1, "cgroup"), Hired(3, SELF), NotHired(3, "no"), Gone(3, 4, -9, (5, 6)), Retire(),
    Orders((ORDER, Order(KEY, "j", Shell("x")), Order(KEY, "j", Python("m:f")))), Acknowledged((KEY, AttemptKey(1, 1))),
    Stop(KEY, Outcome.INTERRUPTED), Hello(3, SELF, KEY, SELF, NOW), Hello(3, SELF, None, None, None),
    Started(KEY, None, NOW), Started(KEY, SELF, NOW), Progress(KEY, 0.5, "t"), Progress(KEY, None, "", 3.5),
    Report((Finished(KEY, FULL), Finished(KEY, Ending(Outcome.SUCCEEDED)))),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    assert from_bytes(to_bytes(message)) == message


FLAT = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.recursive(FLAT, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))
def test_any_result_survives(result: Any) -> None:
    finished = Finished(KEY, Ending(Outcome.SUCCEEDED, result=result))
    assert report_from_bytes(report_to_bytes(finished)) == finished


def test_a_report_of_another_version_is_read_as_far_as_it_is_known() -> None:
    run, attempt, values = json.loads(report_to_bytes(Finished(KEY, FULL)))
    values["invented_later"] = {"x": 1}
    values["usage"]["io_bytes"] = 5
    del values["error"]
    read = report_from_bytes(json.dumps([run, attempt, values]).encode())
    assert (read.key, read.ending.outcome, read.ending.error, read.ending.usage) == (
        KEY,
        FULL.outcome,
        None,
        FULL.usage,
    )


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_frames_may_arrive_in_any_pieces(sizes: list[int]) -> None:
    ours, theirs = socket.socketpair()
    sending, receiving = Channel(ours), Channel(theirs)
    for message in MESSAGES:
        sending.put(message)
    data, got = bytes(sending._outgoing), []
    while data:
        for size in sizes:
            if data[:size]:
                ours.send(data[:size])
            data = data[size:]
            got += receiving.receive()
    assert got == MESSAGES
    sending.close()
    assert receiving.receive() == [] and receiving.closed
    receiving.close()


def test_what_the_socket_does_not_take_waits_and_is_not_lost() -> None:
    ours, theirs = socket.socketpair()
    sending, receiving = Channel(ours), Channel(theirs)
    orders = Orders(tuple(Order(AttemptKey(n, 1), "j", Shell("x" * 1000)) for n in range(2000)))
    sending.put(orders)
    sending.flush()
    assert sending.has_unsent
    got: list[Message] = []
    while not got:
        got = receiving.receive()
        sending.flush()
    assert got == [orders]
    sending.close()
    receiving.close()


def test_an_order_carries_what_the_job_says() -> None:
    job = Job("j", Shell("x"), user="u", umask=0o77, timeout_seconds=5.0, env=(("A", "b"),), queue="q")
    order = order_of(job, KEY, trigger=Trigger.SUBMIT, payload="1", timeout_seconds=7.0)
    assert (order.queue, order.user, order.umask, order.timeout_seconds, order.env) == (
        "q",
        "u",
        0o77,
        7.0,
        (("A", "b"),),
    )


def test_no_word_of_a_job_is_more_than_the_store_takes() -> None:
    half = Ending(
        Outcome.FAILED, error="bad \ud800", directive=Directive("retry", 1.0, "\udcff"), result={"\ud800": ["\udfff"]}
    )
    told = from_bytes(to_bytes(Report((Finished(KEY, half),))))
    assert isinstance(told, Report)
    left = report_from_bytes(report_to_bytes(Finished(KEY, half)))
    for ending in (told.finished[0].ending, left.ending):
        assert (ending.error, ending.directive, ending.result) == ("bad ?", Directive("retry", 1.0, "?"), {"?": ["?"]})
    assert from_bytes(to_bytes(Progress(KEY, 0.5, "\ud800"))) == Progress(KEY, 0.5, "?")


def test_an_outcome_file_with_bytes_that_are_no_text_can_be_read() -> None:
    data = b'[7,2,{"outcome":"failed","error":"bad \xed\xa0\x80"}]'
    ending = report_from_bytes(data).ending
    assert ending.error is not None
    ending.error.encode()


def test_orders_that_carry_much_go_in_several_messages_each_within_a_frame() -> None:
    heavy = [Order(AttemptKey(n, 1), "j", Shell("x"), parents='"' * 3_000_000) for n in range(5)]
    light = [Order(AttemptKey(n, 1), "j", Shell("x")) for n in range(5, 40)]
    sent = list(bundles([*heavy, *light]))
    assert [order.key.run for orders in sent for order in orders.orders] == list(range(40))
    assert max(len(to_bytes(orders)) for orders in sent) < 16 * 1024 * 1024
    assert len(list(bundles(light))) == 1
