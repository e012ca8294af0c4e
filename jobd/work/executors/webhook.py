"""Webhooks: JSON that is posted and signed, so that whoever receives it knows who sent it, when, and that it is whole.

Headers and signature are those of Standard Webhooks 1.0 (`webhook-id`, `webhook-timestamp`, `webhook-signature`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import importlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobd.core import options, places
from jobd.core.executors import Executor, Failed, Fault, Misread, Work
from jobd.core.model import Action, Call, Json
from jobd.work.executors.http import as_json, show
from jobd.work.web import words

_SECONDS = 30.0
_MOST_ANSWER_BYTES = 64 * 1024
_MOST_SECRET_BYTES = 4096
_PREFIX = b"whsec_"


class WebhookExecutor(Executor):
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "JSON that is posted, signed with HMAC-SHA256.",
        "properties": {
            "url": words.URL_SCHEMA,
            "json": {"description": "What is sent, ${payload.key} being replaced; the payload itself by default."},
            "secret_file": {"type": "string", "description": "Holds the key; read for every attempt."},
            "headers": words.HEADERS_SCHEMA,
            "timeout": {"type": ["string", "number"], "description": "30s by default."},
        },
        "required": ["url", "secret_file"],
        "additionalProperties": False,
    }

    def read(self, value: Json) -> Json:
        readers = {
            "url": words.url,
            "json": options.anything,
            "secret_file": options.path,
            "headers": words.headers,
            "timeout": options.duration,
        }
        return options.read(value, readers, required=("url", "secret_file"))

    def faults(self, action: Action, payload: Json) -> Sequence[Fault]:
        assert isinstance(action, Call)
        return places.faults(action.options, payload, _filled)

    def prepare(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        importlib.import_module("jobd.work.web.answers")
        importlib.import_module("encodings.idna")
        return settings

    def run(self, work: Work) -> Json:
        from jobd.work.web import answers, connect
        from jobd.work.web.exchange import Bounds, Request, exchange

        given = work.options
        try:
            url, headers, body = _filled(given, work.payload)
        except Misread as misread:
            raise Failed(f"the payload {misread}", retryable=False) from None
        sealed = signature(secret_in(given["secret_file"]), f"jobd-{work.context.run_id}", int(time.time()), body)
        request = Request("POST", url, (*headers, ("Content-Type", "application/json"), *sealed), body)
        # A redirect is not followed: what was signed is for the one who was named.
        bounds = Bounds(
            seconds=given.get("timeout", _SECONDS),
            redirects=0,
            body_bytes=min(work.output_max_bytes, _MOST_ANSWER_BYTES),
            deny=connect.networks(tuple(work.settings.get("http_deny", ()))),
        )
        response = exchange(request, bounds)
        show(response.body)
        if not 200 <= response.status <= 299:
            raise answers.refusal(response, "POST")
        return answers.result(response)


executor = WebhookExecutor()


def signature(secret: bytes, message: str, at: int, body: bytes) -> tuple[tuple[str, str], ...]:
    """The three headers of a message: which one it is (the same at every attempt), when it was sent, and the seal."""
    sealed = hmac.digest(secret, f"{message}.{at}.".encode() + body, hashlib.sha256)
    return (
        ("webhook-id", message),
        ("webhook-timestamp", str(at)),
        ("webhook-signature", f"v1,{base64.b64encode(sealed).decode()}"),
    )


def _filled(given: Json, payload: Json) -> tuple[str, tuple[tuple[str, str], ...], bytes]:
    """URL, headers and body with the values of the payload put in. Raises Misread."""
    body = places.filled_value(given["json"], payload) if "json" in given else payload
    return (
        words.filled_url(given["url"], payload),
        words.filled_headers(given.get("headers", {}), payload),
        as_json(body),
    )


def secret_in(path: str) -> bytes:
    """The key in a file: its bytes without the white space around them, or what `whsec_` says in base64."""
    try:
        with open(path, "rb") as file:
            secret = file.read(_MOST_SECRET_BYTES).strip()
    except OSError as error:
        raise Failed(f"secret_file {path} cannot be read: {error.strerror}", retryable=False) from None
    if not secret:
        raise Failed(f"secret_file {path} is empty", retryable=False)
    if not secret.startswith(_PREFIX):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise Failed(f"secret_file {path} holds no base64 after whsec_", retryable=False) from None
