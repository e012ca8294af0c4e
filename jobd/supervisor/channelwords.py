"""The words of channels in jobd.yaml: of which kind they are, where they go, and how messages to them are made."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from jobd.core import buckets, channels
from jobd.core.channels import Channel
from jobd.core.shown import shown
from jobd.definitions.schema.how import RateLimit
from jobd.definitions.schema.kinds import AbsolutePath, Prepared, Read, Words, duration, one_or_list, text_like, whole
from jobd.work.web import words as web

_ADDRESS = r"[^\s<>,;:@]+@[^\s<>,;:@]+"
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_KINDS = ("email", "webhook", "healthcheck", "command", "apprise")
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NO_DIGEST = 1_000_000
"""More messages than anybody sends: none of them wait for others."""


def _server(value: Any) -> dict[str, Any]:
    """`localhost:25` as the words of `smtp`."""
    match = _SERVER.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[2] or 25) <= 65535:
        raise ValueError(f"{shown(value)} is not a server (write localhost:25; smtp: of jobd.yaml has more to say)")
    plain = {"tls": "off", "user": None, "password_file": None}
    return {"host": match[1].strip("[]"), "port": int(match[2] or 25)} | plain


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text")
    try:
        web.url(value)
    except ValueError as error:
        # Never the URL itself: it may be all that keeps others from using the channel.
        raise ValueError(f"the url {str(error).removeprefix(shown(value)).strip()}") from None
    if "${" in value:
        raise ValueError("the url takes nothing from messages")
    return value


def _template(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text")
    if fault := channels.template_fault(value):
        raise ValueError(fault)
    return value


Template = Annotated[str, Read(_template, {"type": "string"})]
Url = Annotated[str, Read(_url, {"type": "string"})]
Address = Annotated[str, text_like(_ADDRESS, "an address (write ann@example.org)")]
Addresses = Annotated[list[Address], one_or_list({"type": "string"})]


class Email(Words):
    to: Addresses
    sender: Annotated[str, text_like(_ADDRESS, "an address (write jobd@example.org)")] | None = Field(
        default=None, alias="from"
    )
    smtp: Annotated[dict[str, Any], Read(_server, {"type": "string"})] | None = None


class _WithUrl(Words):
    url: Url | None = None
    url_file: AbsolutePath | None = None

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("goes nowhere or to two places (give url, or url_file where others may read jobd.yaml)")
        return self


class Webhook(_WithUrl):
    secret_file: AbsolutePath
    headers: dict[str, str] = Field(default_factory=dict)


class Healthcheck(_WithUrl):
    pass


class Program(Words):
    argv: list[str] = Field(min_length=1)
    user: str | None = None


class Apprise(Words):
    urls: Annotated[list[str], one_or_list({"type": "string"})] = Field(default_factory=list)
    urls_file: AbsolutePath | None = None

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if bool(self.urls) == (self.urls_file is not None):
            raise ValueError("goes nowhere or to two places (give urls, or urls_file with one on each line)")
        return self


class Digest(Words):
    after: Annotated[int, whole(0, 1000)] = 5
    within: Annotated[float, duration(1.0)] = 60.0


def _argv(value: Any) -> Any:
    return {"argv": value} if isinstance(value, list) else value


class ChannelWords(Words):
    """A channel: one kind with its options, and how messages are made and sent."""

    email: Email | None = None
    webhook: Webhook | None = None
    healthcheck: Healthcheck | None = None
    command: Annotated[Program, Prepared(_argv, {"type": ["array", "object"]})] | None = None
    apprise: Apprise | None = None
    title: Template = channels.DEFAULT_TITLE
    text: Template = channels.DEFAULT_TEXT
    rate_limit: RateLimit = Field(default_factory=lambda: buckets.rate({"rate": "60/min", "burst": 10}))
    digest: Digest | Literal[False] = Digest()
    timeout: Annotated[float, duration(1.0)] = 60.0

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            said = f"is {' and '.join(given)}" if given else "is of no kind"
            raise ValueError(f"{said} (give one of {', '.join(_KINDS)})")
        return self

    def channel(self, name: str) -> Channel:
        """The channel of these words."""
        kind = next(kind for kind in _KINDS if getattr(self, kind) is not None)
        options = getattr(self, kind).model_dump(by_alias=True, exclude_none=True)
        digest = self.digest or Digest(after=0)
        return Channel(
            name=name,
            kind=kind,
            options=options,
            title=self.title,
            text=self.text,
            rate=self.rate_limit,
            digest_after=digest.after if self.digest else NO_DIGEST,
            digest_seconds=digest.within,
            timeout_seconds=self.timeout,
        )
