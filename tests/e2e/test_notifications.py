"""Notifications by a living daemon: to a real mail server, to HTTP on loopback, to a program; through crashes too."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until
from tests.e2e.daemon import host as host_at
from tests.work.servers import free_port


class Site:
    """A web server that keeps what is posted to it; it answers as `status` says, once it is open."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200
        self.arrived = threading.Event()
        self.open = threading.Event()
        self.open.set()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                site.requests.append((self.path, dict(self.headers), body))
                site.arrived.set()
                site.open.wait(60)
                self.send_response(site.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]


class Post:
    """A post office that keeps what it takes."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def post_office() -> Iterator[tuple[Post, int]]:
    post, port = Post(), free_port()
    controller = Controller(post, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield post, port
    finally:
        controller.stop()


def ctl(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, "--no-color", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


class Town:
    """A daemon with a channel of each kind, and what is at their other ends."""

    def __init__(self, host: Host, site: Site, post: Post, port: int) -> None:
        self.host, self.site, self.post = host, site, post
        self.told = host.directory / "told"
        key = host.directory / "hook.key"
        key.write_text("open sesame\n")
        page = host.script("page", PAGE.format(told=self.told))
        apprise = site.url.replace("http", "json")
        host.configure(f"""
            workers: {{max: 4}}
            channels:
              ops: {{email: {{to: ops@example.org, smtp: "127.0.0.1:{port}"}}}}
              hook: {{webhook: {{url: "{site.url}/SECRETPATH", secret_file: "{key}"}}}}
              hc: {{healthcheck: {{url: "{site.url}/ping/abc"}}}}
              pager: {{command: ["{page}", "${{payload.title}}"], title: "${{job}} ${{occasion}}"}}
              chat: {{apprise: {{urls: "{apprise}/apprise/SECRETPATH"}}}}
        """)
        fine = host.directory / "fine"
        jobs = {
            "mailed": {"shell": f"test -e {fine} && exit 0; {HOSTILE}", "notify": {"via": "ops"}},
            "good": {"command": ["true"], "notify": {"via": "hc"}},
            "bad": {"shell": "echo disk full >&2; exit 7", "notify": {"via": "hc"}},
            "paged": {"command": ["false"], "notify": {"via": "pager"}},
        }
        host.define("work", json.dumps({"defaults": {"retry": {"max_attempts": 1}}, "jobs": jobs}))
        self.fine = fine
        host.start(60)

    def posted(self, path: str) -> list[tuple[str, dict[str, str], bytes]]:
        """What arrived below a path."""
        return [one for one in self.site.requests if one[0].startswith(path)]


PAGE = """#!/bin/sh
printf '%s\\n' "$1" > {told}.new
cat "$JOBD_PAYLOAD_FILE" >> {told}.new
mv {told}.new {told}
"""
EVIL = r"Subject: evil\r\nBcc: x@evil.example\n\033[2J${payload.title} ${job} password=hunter2secret\n"
HOSTILE = f"printf '{EVIL}' >&2; exit 3"


@contextmanager
def opened() -> Iterator[Site]:
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.open.set()
        made.server.shutdown()
        made.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with opened() as made:
        yield made


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        opened() as site,
        post_office() as (post, port),
        host_at(Path(directory)) as host,
    ):
        yield Town(host, site, post, port)


def test_mail_tells_of_a_failure_and_its_end_and_hostile_output_stays_text(town: Town) -> None:
    with town.host.client() as client:
        run = client.submit("mailed")
        assert client.wait(run, 30)["state"] == "failed"
        (mail,) = until(lambda: town.post.mails, 60, "the mail arrives")
        assert (mail["To"], mail["Bcc"]) == ("ops@example.org", None)
        assert mail["Subject"].startswith("mailed on ")
        body = mail.get_content().replace("\r\n", "\n")
        assert "exit code 3" in body
        assert f"jobd-ctl show {run}" in body
        assert "  | Subject: evil\\x0d\n  | Bcc: x@evil.example" in body
        assert "\\x1b[2J${payload.title} ${job} password=***" in body
        town.fine.touch()
        client.submit("mailed")
        until(lambda: len(town.post.mails) == 2, 60, "the second mail arrives")
        assert "works again" in town.post.mails[1]["Subject"]


def test_webhooks_are_signed_and_a_test_says_whether_a_channel_works(town: Town) -> None:
    said = ctl(town.host, "notify", "test", "hook")
    assert (said.returncode, said.stdout.split(" (run")[0]) == (0, "delivered through hook")
    ((_, headers, body),) = town.posted("/SECRETPATH")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    seal = base64.b64encode(hmac.digest(b"open sesame", signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{seal}"
    assert json.loads(body)["type"] == "jobd.test"
    town.site.status = 404
    refused = ctl(town.host, "notify", "test", "hook")
    town.site.status = 200
    assert (refused.returncode, "POST was answered with 404" in refused.stdout) == (1, True)
    unknown = ctl(town.host, "notify", "test", "nowhere")
    assert (unknown.returncode, "channels there: chat, hc, hook, ops, pager" in unknown.stderr) == (4, True)
    assert ctl(town.host, "--json", "notify", "list").stdout.count('"hook"') == 1


def test_a_healthcheck_hears_of_start_success_and_failure_with_its_code_and_output(town: Town) -> None:
    with town.host.client() as client:
        good, bad = client.submit("good"), client.submit("bad")
        client.wait(good, 30)
        client.wait(bad, 30)
        pings = until(lambda: p if len(p := town.posted("/ping")) == 4 else None, 60, "four pings arrive")
    paths = sorted(path.split("?rid=") for path, _, _ in pings)
    assert [path for path, _ in paths] == ["/ping/abc", "/ping/abc/7", "/ping/abc/start", "/ping/abc/start"]
    assert len({rid for _, rid in paths}) == 2
    (body,) = [body for path, _, body in pings if "/7" in path]
    assert b"disk full" in body
    assert f"run:        {bad}".encode() in body


def test_a_program_is_given_the_message_as_its_payload(town: Town) -> None:
    with town.host.client() as client:
        client.submit("paged")
    until(town.told.exists, 60, "the program was told")
    title, payload = town.told.read_text().split("\n", 1)
    assert title == "paged failure"
    assert json.loads(payload)["exit_code"] == 1


def test_apprise_carries_messages_where_it_is_installed(town: Town) -> None:
    pytest.importorskip("apprise")
    said = ctl(town.host, "notify", "test", "chat")
    assert said.stdout.startswith("delivered through chat"), said.stdout
    ((_, _, body),) = town.posted("/apprise")
    assert "test" in json.loads(body)["title"]


def test_nobody_can_submit_into_the_queue_of_notifications(town: Town) -> None:
    refused = ctl(town.host, "submit", "--queue", "jobd.notify", "--", "true")
    assert "kept for jobd's own notifications" in refused.stderr
    assert "there is no job" in ctl(town.host, "run", "jobd.notify.pager").stderr


def test_what_a_channel_holds_is_told_to_nobody(town: Town) -> None:
    ctl(town.host, "notify", "test", "hook")
    kept = [path for path in (town.host.directory / "state").rglob("*") if path.is_file()]
    shown = [path.read_bytes().decode(errors="replace") for path in kept]
    shown += [town.host.log(), ctl(town.host, "--json", "runs").stdout, *town.host.processes().values()]
    assert not [text for text in shown if "SECRETPATH" in text]
    assert (town.host.directory / "run" / "channels.json").stat().st_mode & 0o077 == 0


def test_a_reload_lets_channels_come_and_go_and_drops_what_waits_for_one_that_is_gone(make_host: MakeHost) -> None:
    host = make_host("channels: {pager: {command: ['false']}}\n").start(60)
    with host.client() as client:
        client.request("POST", "/v1/queues/jobd.notify/pause", body={})
        sent = client.request("POST", "/v1/channels/pager/test", body={})["id"]
        host.configure("channels: {other: {command: ['true']}}\n")
        assert client.request("POST", "/v1/reload", body={})["problems"] == []
        gone = client.wait(sent, 30)
        assert (gone["state"], gone["error"]) == ("cancelled", "channel pager is not in jobd.yaml any more")
        client.request("POST", "/v1/queues/jobd.notify/resume", body={})
        sent = client.request("POST", "/v1/channels/other/test", body={})["id"]
        assert client.wait(sent, 30)["state"] == "succeeded"


def hooked(host: Host, site: Site, more: str = "") -> Host:
    """A daemon with a webhook for every failure of its jobs."""
    key = host.directory / "hook.key"
    key.write_text("k")
    host.configure(
        f"workers: {{max: 4}}\nchannels: {{hook: {{webhook: {{url: '{site.url}/', secret_file: '{key}'}}{more}}}}}\n"
    )
    jobs = {f"work-{n}": {"command": ["false"]} for n in range(200)}
    defaults = {"retry": {"max_attempts": 1}, "notify": {"on": "failure", "via": "hook"}}
    host.define("work", json.dumps({"defaults": defaults, "jobs": jobs}))
    return host.start(60)


@pytest.mark.slow
def test_two_hundred_failures_are_one_message_and_a_kill_before_it_is_sent_loses_none(
    make_host: MakeHost, site: Site
) -> None:
    host = hooked(make_host(), site, ", digest: {after: 0, within: 1s}")
    with host.client() as client:
        client.request("POST", "/v1/queues/jobd.notify/pause", body={})
        runs = client.submit_many([{"job": f"work-{n}"} for n in range(200)])
        for run in runs:
            assert client.wait(run, 100)["state"] == "failed"
    host.kill()
    assert site.requests == []
    host.start(60)
    with host.client() as client:
        client.request("POST", "/v1/queues/jobd.notify/resume", body={})
        until(lambda: site.requests, 60, "the message arrives")
        (note,) = client.runs(queue="jobd.notify")
        assert client.wait(note["id"], 60)["state"] == "succeeded"
    (message,) = site.messages
    assert (message["type"], message["data"]["count"]) == ("jobd.digest", 200)
    assert len(message["data"]["items"]) == 100


@pytest.mark.slow
def test_a_kill_in_the_midst_of_telling_tells_again_and_with_the_same_id(make_host: MakeHost, site: Site) -> None:
    host = hooked(make_host(), site)
    site.open.clear()
    with host.client() as client:
        client.submit("work-1")
    assert site.arrived.wait(60)
    host.kill_everything()
    site.open.set()
    host.start(60)
    with host.client() as client:
        (note,) = client.runs(queue="jobd.notify")
        assert client.wait(note["id"], 90)["state"] == "succeeded"
    assert len(site.requests) == 2
    assert len({headers["webhook-id"] for _, headers, _ in site.requests}) == 1
