"""Notifications by a living daemon: to a real mail server, to HTTP on loopback, to a program; through crashes too."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until
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


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.open.set()
    made.server.shutdown()
    made.server.server_close()


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


def started(host: Host, text: str, *names: str) -> Host:
    host.define("work", text)
    host.start()
    with host.client() as client:
        assert {one["name"] for one in client.jobs()} >= set(names)
    return host


EVIL = r"Subject: evil\r\nBcc: x@evil.example\n\033[2J${payload.title} ${job} password=hunter2secret\n"
HOSTILE = f"printf '{EVIL}' >&2; exit 3"


def test_mail_tells_of_a_failure_and_its_end_and_hostile_output_stays_text(make_host: MakeHost) -> None:
    with post_office() as (post, port):
        host = make_host(f"channels: {{ops: {{email: {{to: ops@example.org, smtp: '127.0.0.1:{port}'}}}}}}\n")
        word = host.directory / "fine"
        text = json.dumps({"shell": f"test -e {word} && exit 0; {HOSTILE}", "retry": {"max_attempts": 1}})
        notify = "notify: {on: [failure, recovery], via: ops}"
        started(host, f"defaults: {{{notify}}}\njobs: {{work: {text}}}\n", "work")
        with host.client() as client:
            run = client.submit("work")
            assert client.wait(run, 30)["state"] == "failed"
            (mail,) = until(lambda: post.mails, 30, "the mail arrives")
            assert (mail["To"], mail["Bcc"]) == ("ops@example.org", None)
            assert mail["Subject"].startswith("work on ")
            body = mail.get_content()
            assert "exit code 3" in body
            assert f"jobd-ctl show {run}" in body
            assert "  | Subject: evil\\x0d\n  | Bcc: x@evil.example" in body.replace("\r\n", "\n")
            assert "\\x1b[2J${payload.title} ${job} password=***" in body
            word.touch()
            client.submit("work")
            until(lambda: len(post.mails) == 2, 30, "the second mail arrives")
            assert "works again" in post.mails[1]["Subject"]


def test_webhooks_are_signed_and_a_test_says_whether_a_channel_works(make_host: MakeHost, site: Site) -> None:
    host = make_host()
    key = host.directory / "hook.key"
    key.write_text("open sesame\n")
    host.configure(f"channels: {{hook: {{webhook: {{url: '{site.url}/SECRETPATH', secret_file: '{key}'}}}}}}\n")
    started(host, "jobs: {}\n")
    said = ctl(host, "notify", "test", "hook")
    assert (said.returncode, said.stdout) == (0, "delivered through hook (run 1)\n")
    path, headers, body = site.requests[0]
    assert path == "/SECRETPATH"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    seal = base64.b64encode(hmac.digest(b"open sesame", signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{seal}"
    assert json.loads(body)["type"] == "jobd.test"
    site.status = 404
    said = ctl(host, "notify", "test", "hook")
    assert (said.returncode, "POST was answered with 404" in said.stdout) == (1, True)
    site.server.server_close()
    site.status = 200
    assert ctl(host, "notify", "test", "nowhere").returncode == 4
    assert ctl(host, "--json", "notify", "list").stdout.count('"hook"') == 1
    shown = [said.stdout, said.stderr, host.log(), ctl(host, "--json", "runs").stdout, *_files(host)]
    assert not [text for text in shown if "SECRETPATH" in text]


def _files(host: Host) -> list[str]:
    """Everything that jobd keeps, but the one file that is for workers alone."""
    found = [path for path in (host.directory / "state").rglob("*") if path.is_file()]
    kept = host.directory / "run" / "channels.json"
    assert kept.stat().st_mode & 0o077 == 0
    commands = [line for line in host.processes().values() if "forkserver" in line or "jobd" in line]
    return [path.read_bytes().decode(errors="replace") for path in found] + commands


def test_a_healthcheck_hears_of_start_success_and_failure_with_its_code_and_output(
    make_host: MakeHost, site: Site
) -> None:
    host = make_host(f"channels: {{hc: {{healthcheck: {{url: '{site.url}/ping/abc'}}}}}}\n")
    text = """
    defaults: {notify: {via: hc}, retry: {max_attempts: 1}}
    jobs: {good: {command: ['true']}, bad: {shell: 'echo disk full >&2; exit 7'}}
    """
    started(host, text, "good", "bad")
    with host.client() as client:
        good, bad = client.submit("good"), client.submit("bad")
        client.wait(good, 30)
        client.wait(bad, 30)
        until(lambda: len(site.requests) == 4, 30, "four pings arrive")
    paths = sorted(path.split("?rid=") for path, _, _ in site.requests)
    assert [path for path, _ in paths] == ["/ping/abc", "/ping/abc/7", "/ping/abc/start", "/ping/abc/start"]
    assert len({rid for _, rid in paths}) == 2
    (body,) = [body for path, _, body in site.requests if "/7" in path]
    assert b"disk full" in body
    assert f"run:        {bad}".encode() in body


def test_a_program_is_given_the_message_as_its_payload(make_host: MakeHost) -> None:
    host = make_host()
    told = host.directory / "told"
    text = f"""#!/bin/sh
        printf '%s\\n' "$1" > {told}.new
        cat "$JOBD_PAYLOAD_FILE" >> {told}.new
        mv {told}.new {told}
        """
    page = host.script("page", text)
    host.configure(
        f"channels: {{pager: {{command: ['{page}', '${{payload.title}}'], title: '${{job}} ${{occasion}}'}}}}\n"
    )
    text = "jobs: {work: {command: ['false'], retry: {max_attempts: 1}, notify: {via: pager}}}\n"
    started(host, text, "work")
    with host.client() as client:
        client.submit("work")
    until(told.exists, 30, "the program was told")
    title, payload = told.read_text().split("\n", 1)
    assert title == "work failure"
    assert json.loads(payload)["exit_code"] == 1


def test_a_failure_is_told_although_the_daemon_dies_between_it_and_the_telling(make_host: MakeHost, site: Site) -> None:
    host = make_host("workers: {max: 2}\n")
    key = host.directory / "hook.key"
    key.write_text("k")
    host.configure(
        f"workers: {{max: 2}}\nchannels: {{hook: {{webhook: {{url: '{site.url}/', secret_file: '{key}'}}}}}}\n"
    )
    text = "jobs: {work: {command: ['false'], retry: {max_attempts: 1}, notify: {on: failure, via: hook}}}\n"
    started(host, text, "work")
    with host.client() as client:
        client.request("POST", "/v1/queues/jobd.notify/pause", body={})
        run = client.submit("work")
        assert client.wait(run, 30)["state"] == "failed"
    host.kill()
    assert site.requests == []
    host.start()
    with host.client() as client:
        client.request("POST", "/v1/queues/jobd.notify/resume", body={})
        until(lambda: site.requests, 30, "the message arrives")
        (note,) = list(client.runs(queue="jobd.notify"))
        client.wait(note["id"], 30)
    assert [one["data"]["run"] for one in site.messages] == [run]


def test_a_kill_in_the_midst_of_telling_tells_again_and_with_the_same_id(make_host: MakeHost, site: Site) -> None:
    host = make_host()
    key = host.directory / "hook.key"
    key.write_text("k")
    host.configure(
        f"workers: {{max: 2}}\nchannels: {{hook: {{webhook: {{url: '{site.url}/', secret_file: '{key}'}}}}}}\n"
    )
    text = "jobs: {work: {command: ['false'], retry: {max_attempts: 1}, notify: {on: failure, via: hook}}}\n"
    started(host, text, "work")
    site.open.clear()
    with host.client() as client:
        client.submit("work")
    assert site.arrived.wait(30)
    host.kill_everything()
    site.open.set()
    host.start()
    with host.client() as client:
        (note,) = list(client.runs(queue="jobd.notify"))
        assert until(lambda: client.run(note["id"]), 10)["attempts"] >= 1
        assert client.wait(note["id"], 60)["state"] == "succeeded"
    assert len(site.requests) == 2
    assert len({headers["webhook-id"] for _, headers, _ in site.requests}) == 1


def test_two_hundred_failures_come_in_a_handful_of_messages(make_host: MakeHost, site: Site) -> None:
    host = make_host()
    key = host.directory / "hook.key"
    key.write_text("k")
    host.configure(
        f"workers: {{max: 8}}\nchannels: {{hook: {{webhook: {{url: '{site.url}/', secret_file: '{key}'}}, "
        "digest: {within: 2s}}}\n"
    )
    jobs = ", ".join(f"work-{n}: {{command: ['false']}}" for n in range(200))
    text = f"defaults: {{retry: {{max_attempts: 1}}, notify: {{via: hook}}}}\njobs: {{{jobs}}}\n"
    started(host, text, "work-199")
    with host.client() as client:
        runs = client.submit_many([{"job": f"work-{n}"} for n in range(200)])
        for run in runs:
            assert client.wait(run, 60)["state"] == "failed"
        told = until(lambda: _counted(site) if sum(_counted(site)) == 200 else None, 60, "all are told of")
    assert len(told) < 100
    assert max(told) > 1


def _counted(site: Site) -> list[int]:
    return [one["data"]["count"] for one in site.messages]


def test_nobody_can_submit_into_the_queue_of_notifications(make_host: MakeHost) -> None:
    host = make_host("channels: {pager: {command: ['true']}}\n")
    started(host, "jobs: {}\n")
    assert "kept for jobd's own notifications" in ctl(host, "submit", "--queue", "jobd.notify", "--", "true").stderr
    assert "there is no job" in ctl(host, "run", "jobd.notify.pager").stderr


def test_apprise_carries_messages_where_it_is_installed(make_host: MakeHost, site: Site) -> None:
    pytest.importorskip("apprise")
    host = make_host(f"channels: {{chat: {{apprise: {{urls: '{site.url.replace('http', 'json')}/SECRETPATH'}}}}}}\n")
    started(host, "jobs: {}\n")
    said = ctl(host, "notify", "test", "chat")
    assert said.stdout == "delivered through chat (run 1)\n"
    assert "test" in site.messages[0]["title"]
    assert os.path.exists(host.socket)
