"""Describes the API in OpenAPI 3.1, from the same table of routes that serves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from jobd import __version__
from jobd.control.answers import ANSWERS, SCHEMAS
from jobd.control.routes import Route
from jobd.core.states import Condition

_PARAMETER = re.compile(r"\{(\w+)\}")
_COUNT = {"type": "integer"}

_SUBMISSION: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "job": {"type": "string"},
        "command": {"oneOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "string"}]},
        "payload": {},
        "queue": {"type": "string"},
        "priority": {
            "oneOf": [{"type": "integer", "minimum": -100, "maximum": 100}, {"enum": ["low", "medium", "high"]}]
        },
        "run_at": {"type": "string", "format": "date-time"},
        "delay": {"type": ["number", "string"]},
        "key": {"type": "string", "maxLength": 255},
        "unique": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "key": {
                    "oneOf": [
                        {"const": True},
                        {"type": "array", "items": {"type": "string"}},
                        {"type": "string", "minLength": 1, "maxLength": 255},
                    ]
                },
                "period": {"type": ["number", "string", "null"]},
                "states": {"enum": ["active", "all"]},
                "on_conflict": {"enum": ["keep", "replace", "error"]},
            },
        },
        "max_attempts": {"type": "integer", "minimum": 1},
        "timeout": {"type": ["number", "string"]},
        "expires": {"type": ["number", "string"]},
        "depends_on": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["run"],
                "properties": {"run": {"type": "integer"}, "on": {"enum": [on.value for on in Condition]}},
            },
        },
        "traceparent": {"type": "string", "description": "W3C Trace Context; goes before the header of this name."},
        "tracestate": {"type": "string", "maxLength": 512},
    },
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": _COUNT,
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"path": {"type": "string"}, "message": {"type": "string"}}},
        },
    },
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "jobd", "version": __version__, "description": "HTTP over jobd's Unix socket."},
        "servers": [{"url": "http://jobd"}],
        "paths": paths,
        "components": {"schemas": {**SCHEMAS, "Submission": _SUBMISSION, "Problem": _PROBLEM}},
    }


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": route.summary,
        "parameters": [_parameter(name, "path") for name in _PARAMETER.findall(route.path)]
        + [_parameter(name, "query") for name in route.query],
        "responses": _answers(route),
    }
    if (route.method, route.path) == ("POST", "/v1/runs"):
        made["requestBody"] = _submissions()
    return made


def _parameter(name: str, place: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}


def _submissions() -> dict[str, Any]:
    one = {"$ref": "#/components/schemas/Submission"}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [one, {"type": "array", "items": one}]}},
            "application/x-ndjson": {"schema": one},
        },
    }


def _answers(route: Route) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    refused = {"description": "A problem document", "content": {"application/problem+json": problem}}
    match route.answers:
        case "problem":
            return {"501": refused}
        case "text":
            good = {"text/plain": {"schema": {"type": "string"}}}
        case "events":
            good = {"text/event-stream": {"schema": {"type": "string"}}}
        case _:
            good = {"application/json": {"schema": _schema(route)}}
    return {"default": refused, "200": {"description": route.summary, "content": good}}


def _schema(route: Route) -> dict[str, Any]:
    return ANSWERS.get((route.method, route.path), {"type": "object"})
