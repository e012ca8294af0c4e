"""HTTP requests: what a definition says of one, what the payload fills in, and the request itself."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobd.core import options, places
from jobd.core.executors import Executor, Failed, Fault, Misread, Work
from jobd.core.model import Action, Call, Json
from jobd.core.shown import shown
from jobd.work.web import words

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})
_REDIRECTS = 3
_SECONDS = 30.0
_MOST_BODY_BYTES = 16 * 1024 * 1024


def _method(value: Json) -> str:
    if not isinstance(value, str) or value.upper() not in _METHODS:
        raise ValueError(f"{shown(value)} is not a method ({', '.join(_METHODS)})")
    return value.upper()


def _redirects(value: Json) -> int:
    if isinstance(value, bool):
        return _REDIRECTS if value else 0
    if isinstance(value, int) and 0 <= value <= 10:
        return value
    raise ValueError(f"{shown(value)} is not true, false, or a number of redirects (0 to 10)")


class HttpExecutor(Executor):
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "An HTTP request; its status and body are the result.",
        "properties": {
            "method": {"enum": list(_METHODS), "description": "GET, or POST where there is json or body."},
            "url": words.URL_SCHEMA,
            "headers": words.HEADERS_SCHEMA,
            "json": {"description": "The body as JSON; ${payload.key} is replaced."},
            "body": {"type": "string", "description": "The body as text; ${payload.key} is replaced."},
            "expect_status": {"description": 'What counts as success: 200, "2xx", "200-204", or a list of these.'},
            "timeout": {"type": ["string", "number"], "description": "For the whole exchange; 30s by default."},
            "follow_redirects": {"type": ["boolean", "integer"], "description": "true is 3, and the default."},
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    def read(self, value: Json) -> Json:
        readers = {
            "method": _method,
            "url": words.url,
            "headers": words.headers,
            "json": options.anything,
            "body": options.text,
            "expect_status": words.statuses,
            "timeout": options.duration,
            "follow_redirects": _redirects,
        }
        read = options.read(value, readers, required=("url",))
        if "json" in read and "body" in read:
            raise Misread((["body"], "there is json as well (give one of them)"))
        return {"method": "POST" if read.keys() & {"json", "body"} else "GET"} | read

    def faults(self, action: Action, payload: Json) -> Sequence[Fault]:
        assert isinstance(action, Call)
        return places.faults(action.options, payload, _filled)

    def prepare(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        importlib.import_module("jobd.work.web.answers")
        importlib.import_module("encodings.idna")  # by which every host name goes
        return settings

    def run(self, work: Work) -> Json:
        from jobd.work.web import answers, connect
        from jobd.work.web.exchange import Bounds, Request, exchange

        given = work.options
        try:
            request = Request(given["method"], *_filled(given, work.payload))
        except Misread as misread:
            raise Failed(f"the payload {misread}", retryable=False) from None
        bounds = Bounds(
            seconds=given.get("timeout", _SECONDS),
            redirects=given.get("follow_redirects", _REDIRECTS),
            body_bytes=min(work.output_max_bytes, _MOST_BODY_BYTES),
            deny=connect.networks(tuple(work.settings.get("http_deny", ()))),
        )
        response = exchange(request, bounds)
        show(response.body)
        if not response.is_whole:
            work.context.log(f"the body is longer than {bounds.body_bytes} bytes, and was cut there")
        if not words.is_among(response.status, given.get("expect_status", [[200, 299]])):
            raise answers.refusal(response, request.method)
        return answers.result(response)


executor = HttpExecutor()


def _filled(given: Json, payload: Json) -> tuple[str, tuple[tuple[str, str], ...], bytes | None]:
    """URL, headers and body with the values of the payload put in. Raises Misread."""
    headers = words.filled_headers(given.get("headers", {}), payload)
    body, kind = _body(given, payload)
    if kind and "content-type" not in {name.lower() for name, _ in headers}:
        headers += (("Content-Type", kind),)
    return words.filled_url(given["url"], payload), headers, body


def _body(given: Json, payload: Json) -> tuple[bytes | None, str]:
    """The body and its type; the payload itself where the definition gives none and the method wants one."""
    if "body" in given:
        return places.filled(given["body"], payload).encode(errors="replace"), "text/plain; charset=utf-8"
    if "json" in given:
        return as_json(places.filled_value(given["json"], payload)), "application/json"
    if given["method"] in _WITH_A_BODY and payload is not None:
        return as_json(payload), "application/json"
    return None, ""


def as_json(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def show(body: bytes) -> None:
    """Keep the body as the output of the attempt, byte for byte."""
    if body:
        sys.stdout.buffer.write(body)
        sys.stdout.flush()
