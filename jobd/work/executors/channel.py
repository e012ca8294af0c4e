"""Carries a message of jobd to a channel: by mail, webhook, healthcheck ping, or through Apprise.

What a channel needs to know is read from a file that only jobd's user can read, for each message: no definition, no
result and no error has any of it.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from jobd.core.executors import Executor, Failed, Work
from jobd.core.model import Json

_SECONDS = 30.0
_MOST_ANSWER_BYTES = 4096
_MOST_FILE_BYTES = 64 * 1024
_LEAST_SECRET = 6
_NOT_SENT = ("channel", "signal", "rid")


class ChannelExecutor(Executor):
    """Its options name the channel; the payload is the message."""

    def run(self, work: Work) -> Json:
        name = work.options["channel"]
        channel = _channel(work.settings, name)
        options = channel["options"]
        with _kept_secret(name, _secrets(options)):
            match channel["kind"]:
                case "email":
                    return _mail(options, work)
                case "webhook":
                    return _post(options, work)
                case "healthcheck":
                    return _ping(options, work)
                case "apprise":
                    return _apprise(options, work)
                case other:
                    raise Failed(f"channel {name} is of kind {other} now; its message was for another", retryable=False)


executor = ChannelExecutor()


def _channel(settings: Mapping[str, Json], name: str) -> Any:
    with open(settings["channels"], encoding="utf-8") as file:
        known = json.load(file)
    if name not in known:
        raise Failed(f"channel {name} is not in jobd.yaml any more", retryable=False)
    return known[name]


@contextmanager
def _kept_secret(name: str, secrets: Iterable[str]) -> Iterator[None]:
    """Let no error of what is inside tell a secret of the channel."""
    try:
        yield
    except Failed as failed:
        said = _without(str(failed), secrets)
        raise Failed(
            f"channel {name}: {said}", retryable=failed.retryable, retry_in_seconds=failed.retry_in_seconds
        ) from None
    except Exception as error:  # a library of somebody else's raises what it likes
        raise Failed(f"channel {name}: {type(error).__name__}: {_without(str(error), secrets)}") from None


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text[:_MOST_ANSWER_BYTES]


def _secrets(options: Mapping[str, Any]) -> list[str]:
    """What of a channel is for nobody's eyes: its URLs but for the host, their pieces, and headers."""
    urls = [url for url in (options.get("url"), *options.get("urls", ())) if url]
    for key in ("url_file", "urls_file"):
        if key in options:
            urls += _lines(options[key])
    pieces = [piece for url in urls for piece in (url, *urlsplit(url)[2:], *re.split("[/:@?&=]+", url))]
    hosts = {urlsplit(url).hostname for url in urls if url.startswith("http")}
    headers = options.get("headers", {}).values()
    return [piece for piece in (*pieces, *headers) if len(piece) >= _LEAST_SECRET and piece not in hosts]


def _lines(path: str) -> list[str]:
    """The lines of a file that say something."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file.read(_MOST_FILE_BYTES).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "is no text"
        raise Failed(f"{path} cannot be read: {said}", retryable=False) from None
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise Failed(f"{path} says nothing", retryable=False)
    return found


def _url(options: Mapping[str, Any]) -> str:
    from jobd.work.web import words

    if "url" in options:
        return str(options["url"])
    try:
        return words.url(_lines(options["url_file"])[0])
    except ValueError:
        raise Failed(f"{options['url_file']} does not begin with a URL", retryable=False) from None


def _sent(message: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in message.items() if key not in _NOT_SENT}


def _mail(options: Mapping[str, Any], work: Work) -> Json:
    from jobd.work.executors.email import executor as mail

    # The message goes in by its places alone: what a job wrote into it is no template, and adds no header.
    given = {"to": options["to"], "subject": "${payload.title}", "body": "${payload.text}"}
    given |= {"from": options["from"]} if "from" in options else {}
    server = {**work.settings["smtp"], **options.get("smtp", {})}
    return mail.run(replace(work, options=given, settings={**work.settings, "smtp": server}))


def _post(options: Mapping[str, Any], work: Work) -> Json:
    from jobd.work.executors.webhook import secret_in, signature

    message = work.payload
    body = json.dumps(
        {"type": f"jobd.{message['occasion']}", "timestamp": message.get("at"), "data": _sent(message)},
        ensure_ascii=False,
    ).encode(errors="replace")
    sealed = signature(secret_in(options["secret_file"]), f"jobd-{work.context.run_id}", int(time.time()), body)
    headers = (*options.get("headers", {}).items(), ("Content-Type", "application/json"), *sealed)
    return _exchange(_url(options), headers, body, work)


def _ping(options: Mapping[str, Any], work: Work) -> Json:
    signal, rid = work.payload.get("signal", "log"), work.payload.get("rid")
    parts = urlsplit(_url(options))
    path = parts.path.rstrip("/") + ("" if signal == "success" else f"/{signal}")
    query = "&".join(piece for piece in (parts.query, f"rid={rid}" if rid else "") if piece)
    url = urlunsplit((parts.scheme, parts.netloc, path, query, ""))
    return _exchange(url, (("Content-Type", "text/plain; charset=utf-8"),), work.payload["text"].encode(), work)


def _exchange(url: str, headers: tuple[tuple[str, str], ...], body: bytes, work: Work) -> Json:
    from jobd.work.web import answers, connect
    from jobd.work.web.exchange import Bounds, Request, exchange

    # A redirect is not followed: what is sent is for the one who was named.
    deny = connect.networks(tuple(work.settings.get("http_deny", ())))
    bounds = Bounds(seconds=_SECONDS, redirects=0, body_bytes=_MOST_ANSWER_BYTES, deny=deny)
    response = exchange(Request("POST", url, headers, body), bounds)
    if not 200 <= response.status <= 299:
        raise answers.refusal(response, "POST")
    return {"status": response.status}


def _apprise(options: Mapping[str, Any], work: Work) -> Json:
    try:
        import apprise
    except ImportError:
        raise Failed("the package apprise is not there (pip install 'jobd[apprise]')", retryable=False) from None
    # What it logs quotes URLs, and whoever may see the output of an attempt would see them.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    urls = options.get("urls") or _lines(options["urls_file"])
    services = apprise.Apprise()
    unknown = sum(not services.add(url) for url in urls)
    if unknown:
        raise Failed(f"{unknown} of {len(urls)} URLs are none that apprise knows", retryable=False)
    kinds = {"recovery": apprise.NotifyType.SUCCESS, "success": apprise.NotifyType.SUCCESS}
    kind = kinds.get(work.payload["occasion"], apprise.NotifyType.WARNING)
    text = apprise.NotifyFormat.TEXT
    if not services.notify(
        body=work.payload["text"],
        title=work.payload["title"],
        notify_type=kind,
        body_format=text,
        interpret_escapes=False,
    ):
        raise Failed(f"apprise did not reach all of {len(urls)} services")
    return {"services": len(urls)}
