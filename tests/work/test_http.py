"""HTTP jobs: what is sent, what comes back, what is never connected to, and what is not waited for."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobd.core.executors import Failed, Misread, find
from jobd.core.model import Call, Directive, Ending
from jobd.core.states import Outcome
from jobd.work.orders import Order
from jobd.work.web import connect, exchange
from tests.work.harness import floor, key
from tests.work.site import Site, site
from tests.work.test_children import needs_root

DENY = {"http_deny": ["169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"]}


@pytest.fixture
def served() -> Iterator[Site]:
    with site() as made:
        yield made


def order(run: int, options: dict[str, Any], payload: Any = None, **values: Any) -> Order:
    action = Call("http", find("http").read(options))
    return Order(
        **{"key": key(run), "job": "job", "action": action, "timeout_seconds": 20.0, "payload": json.dumps(payload)}
        | values
    )


def results(tmp_path: Path, *orders: Order, told: dict[str, Any] | None = None) -> list[tuple[Ending, bytes]]:
    """Each order's ending and output, one after the other in one worker."""

    async def scenario() -> list[tuple[Ending, bytes]]:
        async with floor(tmp_path, told=DENY if told is None else told, max_workers=1) as hall:
            return [((await hall.run(one))[0], hall.output(one.key.run)) for one in orders]

    return asyncio.run(scenario())


def ending(tmp_path: Path, options: dict[str, Any], payload: Any = None, **values: Any) -> Ending:
    ((found, _),) = results(tmp_path, order(1, options, payload, **values))
    return found


def test_status_and_body_are_the_result_and_the_body_is_the_output(tmp_path: Path, served: Site) -> None:
    ((found, output),) = results(tmp_path, order(1, {"url": f"{served.url}/a?b=c"}))
    assert (found.outcome, found.exit_code, found.error) == (Outcome.SUCCEEDED, 0, None)
    assert found.result["status"] == 200
    assert found.result["body"] == json.loads(output)
    (seen,) = served.seen
    assert (seen["method"], seen["path"]) == ("GET", "/a?b=c")
    assert seen["headers"]["user-agent"].startswith("jobd/")


def test_a_payload_fills_in_url_headers_and_json_each_value_as_one_piece(tmp_path: Path, served: Site) -> None:
    options = {
        "url": f"{served.url}/users/${{payload.name}}?q=${{payload.name}}",
        "headers": {"X-Who": "<${payload.name}>", "Content-Type": "application/vnd.x+json"},
        "json": {"to": "${payload.name}", "list": "${payload.list}", "null": None},
    }
    payload = {"name": "a/b?c&d#é", "list": [1, {"x": None}]}
    assert ending(tmp_path, options, {"name": "a/b?c&d#e", "list": [1]}).outcome is Outcome.SUCCEEDED
    (seen,) = served.seen
    assert seen["method"] == "POST"
    assert seen["path"] == "/users/a%2Fb%3Fc%26d%23e?q=a%2Fb%3Fc%26d%23e"
    assert (seen["headers"]["x-who"], seen["headers"]["content-type"]) == ("<a/b?c&d#e>", "application/vnd.x+json")
    assert json.loads(seen["body"]) == {"to": "a/b?c&d#e", "list": [1], "null": None}
    assert find("http").faults(Call("http", find("http").read(options)), payload) == ()


def test_the_payload_is_the_body_where_a_method_wants_one_and_nothing_else_is_given(
    tmp_path: Path, served: Site
) -> None:
    ending(tmp_path, {"url": served.url, "method": "put"}, {"a": [1, "é"]})
    (seen,) = served.seen
    assert (seen["method"], seen["body"]) == ("PUT", '{"a":[1,"é"]}')


def test_a_status_that_was_not_expected_fails_and_says_whether_trying_again_may_help(
    tmp_path: Path, served: Site
) -> None:
    helps = {404: False, 410: False, 408: True, 429: True, 503: True}
    orders = [order(status, {"url": f"{served.url}/status/{status}"}) for status in helps]
    for (found, _), (status, again) in zip(results(tmp_path, *orders), helps.items(), strict=True):
        assert (found.outcome, found.retryable, found.directive) == (Outcome.FAILED, again, None)
        assert found.error is not None and found.error.startswith(f"GET was answered with {status} ")
        assert found.result == {"status": status, "body": "as asked"}


def test_retry_after_is_honoured_and_bounded(tmp_path: Path, served: Site) -> None:
    asked = [f"{served.url}/status/429?Retry-After={said}" for said in ("7", "9999999999", "soon", "0")]
    found = [one.directive for one, _ in results(tmp_path, *(order(n, {"url": url}) for n, url in enumerate(asked)))]
    assert [one and one.delay_seconds for one in found] == [7.0, 86400.0, None, None]
    assert isinstance(found[0], Directive) and found[0].kind == "retry"


def test_what_counts_as_success_is_for_the_job_to_say(tmp_path: Path, served: Site) -> None:
    url = f"{served.url}/status/404"
    assert ending(tmp_path, {"url": url, "expect_status": ["2xx", 404]}).outcome is Outcome.SUCCEEDED


def test_redirects_are_followed_within_bounds_and_another_server_gets_no_secrets(tmp_path: Path, served: Site) -> None:
    with site() as other:
        served.answers += [(302, {"Location": "/next"}, b""), (307, {"Location": f"{other.url}/far"}, b"")]
        options = {"url": served.url, "headers": {"Authorization": "Bearer x", "Accept": "text/plain"}, "json": 1}
        assert ending(tmp_path, options).outcome is Outcome.SUCCEEDED
        assert [(one["method"], one["path"]) for one in served.seen] == [("POST", "/"), ("GET", "/next")]
        assert served.seen[1]["headers"]["authorization"] == "Bearer x"
        (far,) = other.seen
        assert (far["headers"].get("authorization"), far["headers"]["accept"]) == (None, "text/plain")


def test_the_fourth_redirect_is_not_followed(tmp_path: Path, served: Site) -> None:
    served.answers += [(302, {"Location": "/again"}, b"")] * 5
    found = ending(tmp_path, {"url": served.url})
    assert (found.outcome, found.retryable) == (Outcome.FAILED, False)
    assert found.error == f"{served.url} redirected more than 3 times"
    assert len(served.seen) == 4


def test_a_redirect_that_is_not_to_be_followed_is_an_answer(tmp_path: Path, served: Site) -> None:
    served.answers += [(302, {"Location": "/again"}, b"")]
    found = ending(tmp_path, {"url": served.url, "follow_redirects": False})
    assert found.error is not None and "answered with 302 Found (it points to '/again'" in found.error


def test_a_redirect_out_of_http_is_not_followed(tmp_path: Path, served: Site) -> None:
    targets = ("file:///etc/passwd", "ftp://x/", "http://127.0.0.1:99999/", "http://u:p@127.0.0.1/", "gopher://[::1]/")
    served.answers += [(302, {"Location": target}, b"") for target in targets]
    for found, _ in results(tmp_path, *(order(n, {"url": served.url}) for n, _ in enumerate(targets))):
        assert (found.outcome, found.retryable) == (Outcome.FAILED, False)
        assert found.error is not None and "not followed" in found.error
    assert len(served.seen) == len(targets)


def test_a_redirect_never_leads_from_https_to_http() -> None:
    asked = exchange.Request("GET", "https://example.org/x")
    with pytest.raises(Failed, match="not followed"):
        exchange._redirected(asked, 302, "http://example.org/x")


def test_no_redirect_leads_to_where_policy_lets_no_job_connect(tmp_path: Path, served: Site) -> None:
    hosts = ("169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "2852039166", "0xa9fea9fe",
             "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]")  # fmt: skip
    served.answers += [(302, {"Location": f"http://{host}/latest/meta-data"}, b"") for host in hosts]
    for found, _ in results(tmp_path, *(order(n, {"url": served.url, "timeout": 5}) for n, _ in enumerate(hosts))):
        assert (found.outcome, found.retryable) == (Outcome.FAILED, False)
        assert found.error is not None and "policy.http_deny" in found.error


def test_an_address_is_denied_in_each_of_its_spellings(tmp_path: Path, served: Site) -> None:
    hosts = ("127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "[::ffff:127.0.0.1]")
    orders = [order(n, {"url": served.url.replace("127.0.0.1", host)}) for n, host in enumerate(hosts)]
    for found, _ in results(tmp_path, *orders, told={"http_deny": ["127.0.0.0/8", "::1/128"]}):
        assert found.error is not None and "policy.http_deny" in found.error
    assert served.seen == []


def test_a_name_is_looked_up_once_so_a_second_answer_changes_nothing(
    served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = int(served.url.rpartition(":")[2]), []

    def answer(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    deny = connect.networks(tuple(DENY["http_deny"]))
    with connect.connected("rebinding.example", port, deny, connect.Until(5)) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"
    assert len(asked) == 1
    with pytest.raises(Failed, match=r"policy\.http_deny"):
        connect.connected("rebinding.example", port, deny, connect.Until(5))


def test_a_body_without_end_is_cut_where_the_output_of_the_job_ends(tmp_path: Path, served: Site) -> None:
    ((found, output),) = results(tmp_path, order(1, {"url": f"{served.url}/big"}, output_max_bytes=65536))
    assert found.outcome is Outcome.SUCCEEDED
    assert found.result == {"status": 200, "body": None, "cut": True}
    assert output == b"x" * 65536


def test_an_answer_that_drips_is_not_waited_for_beyond_the_time_of_the_exchange(tmp_path: Path, served: Site) -> None:
    found = ending(tmp_path, {"url": f"{served.url}/drip", "timeout": "1s"})
    assert found.error == f"{served.url} did not answer in full within 1 s"
    assert found.retryable


def test_an_answer_that_breaks_off_is_a_failure_and_not_a_short_body(tmp_path: Path, served: Site) -> None:
    found = ending(tmp_path, {"url": f"{served.url}/short"})
    assert (found.outcome, found.retryable) == (Outcome.FAILED, True)


def test_the_time_of_the_job_ends_an_exchange(tmp_path: Path, served: Site) -> None:
    found = ending(tmp_path, {"url": f"{served.url}/drip"}, timeout_seconds=0.5)
    assert (found.outcome, found.exit_code) == (Outcome.TIMEOUT, 124)


def test_nobody_there_is_worth_another_try(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = ending(tmp_path, {"url": f"http://127.0.0.1:{taken.getsockname()[1]}/x?token=secret"})
    assert found.retryable and found.error is not None
    assert "Connection refused" in found.error and "secret" not in found.error


def test_a_worker_keeps_its_connections_also_over_work_in_a_fork(tmp_path: Path, served: Site) -> None:
    some = [order(1, {"url": served.url}), order(2, {"url": served.url}, isolate=True), order(3, {"url": served.url})]
    assert [one.outcome for one, _ in results(tmp_path, *some)] == [Outcome.SUCCEEDED] * 3
    first, apart, third = (one["port"] for one in served.seen)
    assert first == third != apart


def test_a_connection_that_the_other_side_has_closed_is_made_anew(tmp_path: Path, served: Site) -> None:
    served.answers += [(200, {"Connection": "close"}, b"")]
    some = [order(n, {"url": served.url, "json": n}) for n in range(3)]
    assert [one.outcome for one, _ in results(tmp_path, *some)] == [Outcome.SUCCEEDED] * 3
    assert served.connections == 2


@needs_root
def test_a_request_is_made_as_the_user_of_the_job(tmp_path: Path, served: Site) -> None:
    from tests.work.test_children import open_up

    open_up(tmp_path)
    found = ending(tmp_path, {"url": served.url}, user="nobody")
    assert (found.outcome, found.result["status"]) == (Outcome.SUCCEEDED, 200)


@pytest.mark.parametrize(
    ("options", "steps", "said"),
    [
        ({}, [], "lacks url"),
        ({"url": "x"}, ["url"], "is not a URL of http:// or https://"),
        ({"url": "file:///etc/passwd"}, ["url"], "is not a URL of http:// or https://"),
        ({"url": "http://a b/"}, ["url"], "a space"),
        ({"url": "http://a/\r\nHost: b"}, ["url"], "control character"),
        ({"url": "http://${payload.host}/"}, ["url"], "takes its host from the payload"),
        ({"url": "http://u:p@a/"}, ["url"], "holds a password"),
        ({"url": "http://a:99999/"}, ["url"], "is not a URL"),
        ({"url": "http://a/", "methd": "GET"}, ["methd"], 'did you mean "method"?'),
        ({"url": "http://a/", "method": "FETCH"}, ["method"], "is not a method"),
        ({"url": "http://a/", "headers": {"X": "a\nY: b"}}, ["headers", "X"], "line break"),
        ({"url": "http://a/", "headers": {"X:": "a"}}, ["headers", "X:"], "cannot name a header"),
        ({"url": "http://a/", "headers": {"Content-Length": "1"}}, ["headers", "Content-Length"], "set by jobd"),
        ({"url": "http://a/", "headers": {"X": 5}}, ["headers", "X"], "is not a text"),
        ({"url": "http://a/", "expect_status": "ok"}, ["expect_status"], "is not a status"),
        ({"url": "http://a/", "timeout": "soon"}, ["timeout"], "is not a duration"),
        ({"url": "http://a/", "follow_redirects": 11}, ["follow_redirects"], "0 to 10"),
        ({"url": "http://a/", "json": 1, "body": "x"}, ["body"], "give one of them"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_said_when_it_is_loaded(
    options: dict[str, Any], steps: list[str], said: str
) -> None:
    with pytest.raises(Misread) as caught:
        find("http").read(options)
    ((where, message),) = caught.value.faults
    assert where == steps
    assert said in message


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({}, "has no 'x', and the job asks for ${payload.x}"),
        ({"x": "a\r\nCookie: b"}, "gives a value for the header X that holds a line break"),
        ({"x": ".."}, "gives '..' for a piece of the url"),
        (None, "has no 'x'"),
    ],
)
def test_what_a_payload_would_do_to_a_request_is_said_when_it_is_submitted(payload: Any, said: str) -> None:
    options = {"url": "http://127.0.0.1/${payload.x}", "headers": {"X": "${payload.x}"}}
    ((_, message), *_) = find("http").faults(Call("http", find("http").read(options)), payload)
    assert said in message
