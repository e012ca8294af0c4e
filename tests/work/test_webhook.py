"""Webhooks: signed so that a receiver with nothing but the key can check them, the same message at every attempt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobd.core.executors import Misread, find
from jobd.core.model import Call, Ending
from jobd.core.states import Outcome
from jobd.work.executors.webhook import signature
from jobd.work.orders import Order
from tests.work.harness import key
from tests.work.site import Site, site
from tests.work.test_http import results


@pytest.fixture
def served() -> Iterator[Site]:
    with site() as made:
        yield made


def order(run: int, options: dict[str, Any], payload: Any = None, attempt: int = 1) -> Order:
    action = Call("webhook", find("webhook").read(options))
    return Order(key(run, attempt), "job", action, timeout_seconds=20.0, payload=json.dumps(payload))


def sent(tmp_path: Path, *orders: Order) -> list[Ending]:
    return [ending for ending, _ in results(tmp_path, *orders)]


def secret(tmp_path: Path, content: str) -> str:
    path = tmp_path / "hook.key"
    path.write_text(content)
    return str(path)


def check(seen: dict[str, Any], key: bytes) -> bool:
    """What a receiver does."""
    headers = seen["headers"]
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{seen['body']}".encode()
    wanted = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return abs(time.time() - int(headers["webhook-timestamp"])) < 300 and f"v1,{wanted}" == headers["webhook-signature"]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of its specification."""
    made = signature(
        base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert dict(made)["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_can_check_what_was_sent(tmp_path: Path, served: Site) -> None:
    plain = {"url": f"{served.url}/hook", "secret_file": secret(tmp_path, "not base64\n")}
    (ending,) = sent(tmp_path, order(7, plain, {"order": 1, "é": None}))
    assert (ending.outcome, ending.result["status"]) == (Outcome.SUCCEEDED, 200)
    (seen,) = served.seen
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/hook", '{"order":1,"é":null}')
    assert seen["headers"]["webhook-id"] == "jobd-7"
    assert check(seen, b"not base64")
    assert not check(seen | {"body": '{"order":2}'}, b"not base64")


def test_a_key_may_be_written_as_its_makers_hand_it_out(tmp_path: Path, served: Site) -> None:
    options = {"url": served.url, "secret_file": secret(tmp_path, "whsec_c2VjcmV0"), "json": {"id": "${payload.id}"}}
    sent(tmp_path, order(1, options, {"id": 5}))
    (seen,) = served.seen
    assert seen["body"] == '{"id":5}'
    assert check(seen, b"secret")


def test_each_attempt_is_the_same_message_and_the_receiver_says_when_it_wants_the_next(
    tmp_path: Path, served: Site
) -> None:
    options = {"url": served.url, "secret_file": secret(tmp_path, "k")}
    served.answers += [(429, {"Retry-After": "12"}, b""), (410, {}, b"")]
    busy, gone, done = sent(tmp_path, *(order(3, options, attempt=attempt) for attempt in (1, 2, 3)))
    assert busy.retryable and busy.directive is not None and busy.directive.delay_seconds == 12
    assert (gone.outcome, gone.retryable) == (Outcome.FAILED, False)
    assert done.outcome is Outcome.SUCCEEDED
    assert {one["headers"]["webhook-id"] for one in served.seen} == {"jobd-3"}


def test_a_redirect_is_not_followed(tmp_path: Path, served: Site) -> None:
    served.answers += [(307, {"Location": "/elsewhere"}, b"")]
    (ending,) = sent(tmp_path, order(1, {"url": served.url, "secret_file": secret(tmp_path, "k")}))
    assert (ending.outcome, ending.retryable, len(served.seen)) == (Outcome.FAILED, False, 1)


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("\n", "is empty"), ("whsec_?", "no base64")])
def test_nothing_is_sent_unsigned(tmp_path: Path, served: Site, content: str | None, said: str) -> None:
    path = str(tmp_path / "none") if content is None else secret(tmp_path, content)
    (ending,) = sent(tmp_path, order(1, {"url": served.url, "secret_file": path}))
    assert (ending.outcome, ending.retryable, served.seen) == (Outcome.FAILED, False, [])
    assert ending.error is not None and said in ending.error


def test_what_is_wrong_with_a_webhook_is_said_when_it_is_loaded() -> None:
    with pytest.raises(Misread) as caught:
        find("webhook").read({"url": "ftp://x", "secret_file": "hook.key", "jsn": 1})
    assert [steps for steps, _ in caught.value.faults] == [["url"], ["secret_file"], ["jsn"]]
    with pytest.raises(Misread, match="lacks secret_file"):
        find("webhook").read({"url": "http://x/"})
