"""Mail jobs against a real SMTP server: what arrives, who may be sent to, and what is tried again."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from jobd.core.executors import Misread, find
from jobd.core.model import Call, Ending
from jobd.core.states import Outcome
from jobd.work.orders import Order
from tests.work.harness import floor, key
from tests.work.servers import free_port
from tests.work.test_children import needs_root, open_up

MAIL = {"to": "Ann <ann@example.org>", "subject": "Order ${payload.n}", "body": "Dear ${payload.who},\n.\nbye"}


@dataclass
class Post:
    """A post office that keeps what it takes, and answers as the address says."""

    port: int
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 no such person"
        if address.startswith("later"):
            return "451 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((envelope.rcpt_tos, mail))
        self.encrypted.append(session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK"

    def check(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"open sesame", handled=False)


@contextmanager
def post(**options: Any) -> Iterator[Post]:
    made = Post(free_port())
    if "tls_context" in options or "ssl_context" in options:
        options |= {"authenticator": made.check, "auth_required": True}
    controller = Controller(made, hostname="127.0.0.1", port=made.port, **options)
    controller.start()
    try:
        yield made
    finally:
        controller.stop()


def told(office: Post, **server: Any) -> dict[str, Any]:
    usual = {"host": "127.0.0.1", "tls": "off", "user": None, "password_file": None, "from": "jobd@example.org"}
    return {"smtp": usual | {"port": office.port} | server}


def order(run: int, options: dict[str, Any], payload: Any = None, **values: Any) -> Order:
    action = Call("email", find("email").read(options))
    return Order(key(run), "job", action, timeout_seconds=20.0, payload=json.dumps(payload), **values)


def sent(tmp_path: Path, settings: dict[str, Any], *orders: Order) -> list[Ending]:
    async def scenario() -> list[Ending]:
        async with floor(tmp_path, told=settings, max_workers=1) as hall:
            return [(await hall.run(one))[0] for one in orders]

    return asyncio.run(scenario())


def test_a_mail_arrives_as_it_was_written(tmp_path: Path) -> None:
    more = {"cc": ["bob@example.org"], "bcc": "eve@example.org", "reply_to": "help@example.org"}
    with post() as office:
        (ending,) = sent(tmp_path, told(office), order(7, MAIL | more, {"n": 5, "who": "Änn"}))
    assert (ending.outcome, ending.error) == (Outcome.SUCCEEDED, None)
    assert ending.result == {"message_id": "<jobd-7@example.org>", "recipients": 3}
    ((people, mail),) = office.mails
    assert people == ["ann@example.org", "bob@example.org", "eve@example.org"]
    assert (mail["From"], mail["To"], mail["Cc"]) == ("jobd@example.org", "Ann <ann@example.org>", "bob@example.org")
    assert (mail["Subject"], mail["Bcc"], mail["Reply-To"]) == ("Order 5", None, "help@example.org")
    assert mail.get_content().splitlines() == ["Dear Änn,", ".", "bye"]


def test_the_payload_is_the_body_where_there_is_none(tmp_path: Path) -> None:
    with post() as office:
        sent(tmp_path, told(office), order(1, {"to": "ann@example.org", "subject": "x"}, {"a": [1]}))
    ((_, mail),) = office.mails
    assert json.loads(mail.get_content()) == {"a": [1]}


@pytest.mark.parametrize(
    "evil",
    ["x\r\nBcc: eve@example.org", "x\nX: y", "a@example.org, eve@example.org", "a@b>\r\nRCPT TO:<eve@c", "", "@"],
)
def test_no_payload_adds_a_header_or_a_recipient(tmp_path: Path, evil: str) -> None:
    options = {"to": ["${payload.to}", "ann@example.org"], "subject": "s"}
    action = Call("email", find("email").read(options))
    ((_, message),) = find("email").faults(action, {"to": evil})
    assert "is not one address" in message
    with post() as office:
        (ending,) = sent(tmp_path, told(office), order(1, options, {"to": evil}))
    assert (ending.outcome, ending.retryable, office.mails) == (Outcome.FAILED, False, [])


def test_no_payload_breaks_out_of_the_subject() -> None:
    action = Call("email", find("email").read({"to": "ann@example.org", "subject": "${payload.s}"}))
    ((_, message),) = find("email").faults(action, {"s": "x\r\nBcc: eve@example.org"})
    assert "line break" in message
    assert find("email").faults(action, {"s": "plain"}) == ()


def test_who_is_not_known_is_not_tried_again_and_who_is_busy_is(tmp_path: Path) -> None:
    people = ("nobody@example.org", "later@example.org", ["ann@example.org", "nobody@example.org"])
    orders = [order(n, {"to": to, "subject": "x", "body": "y"}) for n, to in enumerate(people, 1)]
    with post() as office:
        unknown, busy, some = sent(tmp_path, told(office), *orders)
    assert (unknown.outcome, unknown.retryable) == (Outcome.FAILED, False)
    assert unknown.error is not None and "550 no such person" in unknown.error
    assert (busy.outcome, busy.retryable) == (Outcome.FAILED, True)
    assert (some.outcome, some.retryable) == (Outcome.FAILED, False)
    assert some.result == {"refused": {"nobody@example.org": "550 no such person"}}
    assert [people for people, _ in office.mails] == [["ann@example.org"]]


def test_a_server_that_is_not_there_is_worth_another_try(tmp_path: Path) -> None:
    (ending,) = sent(tmp_path, told(Post(free_port())), order(1, {"to": "ann@example.org", "subject": "x"}))
    assert (ending.outcome, ending.retryable) == (Outcome.FAILED, True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key, that nobody vouches for but itself."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this host")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *named, "-keyout", str(path), "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_goes_encrypted_and_logged_in_to_a_server_that_is_who_it_says(
    tmp_path: Path, certificate: Path, tls: str
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    options = {"to": "ann@example.org", "subject": "x"}
    trusting = {"env": (("SSL_CERT_FILE", str(certificate)),)}
    way = {"tls_context": context} if tls == "starttls" else {"ssl_context": context, "auth_require_tls": False}
    with post(**way) as office:
        settings = told(office, tls=tls, user="jobs", password_file=str(password))
        ending, apart = sent(
            tmp_path, settings, order(1, options, **trusting), order(2, options, isolate=True, **trusting)
        )
        (stranger,) = sent(tmp_path / "s", settings, order(3, options))
        settings["smtp"] |= {"password_file": str(wrong)}
        (refused,) = sent(tmp_path / "w", settings, order(4, options, **trusting))
    assert (ending.outcome, apart.outcome, office.encrypted) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED, [True, True])
    assert office.logins[0] == (b"jobs", b"open sesame")
    assert stranger.error is not None and "certificate verify failed" in stranger.error
    assert (refused.outcome, refused.retryable) == (Outcome.FAILED, False)
    assert refused.error is not None and "535" in refused.error and "guess" not in refused.error


@needs_root
def test_the_password_is_read_before_the_job_becomes_somebody_else(tmp_path: Path) -> None:
    open_up(tmp_path)
    password = tmp_path / "password"
    password.write_text("unused")
    password.chmod(0o600)
    with post() as office:
        settings = told(office)
        settings["smtp"] |= {"password_file": str(password)}
        (ending,) = sent(tmp_path, settings, order(1, {"to": "ann@example.org", "subject": "x"}, user="nobody"))
    assert (ending.outcome, len(office.mails)) == (Outcome.SUCCEEDED, 1), ending.error


@pytest.mark.parametrize(
    ("options", "steps", "said"),
    [
        ({"to": "a@b"}, [], "lacks subject"),
        ({"to": "a@b, c@d", "subject": "x"}, ["to"], "is not one address"),
        ({"to": [], "subject": "x"}, ["to"], "1 to 100"),
        ({"to": "a@b", "subject": "x\ny"}, ["subject"], "line break"),
        ({"to": "a@b", "subject": "x", "from": "jobd"}, ["from"], "is not one address"),
        ({"to": "a@b", "subjekt": "x", "subject": "x"}, ["subjekt"], 'did you mean "subject"?'),
    ],
)
def test_what_is_wrong_with_a_mail_is_said_when_it_is_loaded(
    options: dict[str, Any], steps: list[str], said: str
) -> None:
    with pytest.raises(Misread) as caught:
        find("email").read(options)
    ((where, message),) = caught.value.faults
    assert where == steps
    assert said in message
