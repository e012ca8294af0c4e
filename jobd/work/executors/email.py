"""Mail: a text to some people, through the SMTP server that jobd.yaml names. No value of a payload can add a header."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobd.core import options, places
from jobd.core.executors import Executor, Failed, Fault, Misread, Work
from jobd.core.model import Action, Call, Json
from jobd.core.shown import shown

_SECONDS = 30.0
_MOST_PASSWORD_BYTES = 4096
_MOST_PEOPLE = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS = r"[^\s,;:<>@\"()\[\]\\]+@[^\s,;:<>@\"()\[\]\\]+"
_PERSON = re.compile(rf"(?:([^<>@,;:\"()\[\]\\]*)<({_ADDRESS})>|({_ADDRESS}))")


def _person(value: Json) -> str:
    given = options.text(value)
    if not places.has_places(given) and (fault := _person_fault(given)):
        raise ValueError(fault)
    return given


def _person_fault(text: str) -> str | None:
    if _CONTROL.search(text) or not _PERSON.fullmatch(text.strip()):
        return f"{shown(text)} is not one address (write ann@example.org, or Ann <ann@example.org>)"
    return None


def _people(value: Json) -> list[str]:
    """One address, or a list of them."""
    if not isinstance(value, list):
        return [_person(value)]
    if not 0 < len(value) <= _MOST_PEOPLE:
        raise ValueError(f"has {len(value)} addresses (1 to {_MOST_PEOPLE})")
    return [_person(one) for one in value]


def _line(value: Json) -> str:
    given = options.text(value)
    if _CONTROL.search(given):
        raise ValueError("holds a line break or a control character, which no header may")
    return given


_PEOPLE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


class EmailExecutor(Executor):
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "description": "A mail, sent through the smtp of jobd.yaml; ${payload.key} is replaced in every text.",
        "properties": {
            "to": _PEOPLE,
            "cc": _PEOPLE,
            "bcc": _PEOPLE,
            "from": {"type": "string", "description": "smtp.from of jobd.yaml by default."},
            "reply_to": {"type": "string"},
            "subject": {"type": "string"},
            "body": {"type": "string", "description": "The payload as JSON by default."},
        },
        "required": ["to", "subject"],
        "additionalProperties": False,
    }

    def read(self, value: Json) -> Json:
        readers = {
            "to": _people,
            "cc": _people,
            "bcc": _people,
            "from": _person,
            "reply_to": _person,
            "subject": _line,
            "body": options.text,
        }
        return options.read(value, readers, required=("to", "subject"))

    def faults(self, action: Action, payload: Json) -> Sequence[Fault]:
        assert isinstance(action, Call)
        return places.faults(action.options, payload, _filled)

    def prepare(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        for needed in ("smtplib", "ssl", "encodings.idna"):
            importlib.import_module(needed)
        # Making a mail loads what making a mail needs, which is a good deal and not the same in every Python.
        _message({"to": ["a@b"], "subject": "é", "body": "é"}, "a@b", 0).as_bytes()
        return dict(settings) | {"smtp": _with_password(settings["smtp"])}

    def run(self, work: Work) -> Json:
        try:
            words = _filled(work.options, work.payload)
        except Misread as misread:
            raise Failed(f"the payload {misread}", retryable=False) from None
        server = _with_password(work.settings["smtp"])
        return _send(server, words, _message(words, server["from"], work.context.run_id))


executor = EmailExecutor()


def _filled(given: Json, payload: Json) -> dict[str, Any]:
    """Every text with the values of the payload put in; each address is still one. Raises Misread."""
    made: dict[str, Any] = {}
    for key, value in given.items():
        texts = [places.filled(one, payload) for one in (value if isinstance(value, list) else [value])]
        for text in texts:
            if key not in ("subject", "body") and (fault := _person_fault(text)):
                raise Misread(([], f"gives for {key} what is wrong: {fault}"))
            if key == "subject" and _CONTROL.search(text):
                raise Misread(([], "gives a subject with a line break or a control character"))
        made[key] = texts if isinstance(value, list) else texts[0]
    if "body" not in made:
        made["body"] = "" if payload is None else json.dumps(payload, ensure_ascii=False, indent=2)
    return made


def _message(words: dict[str, Any], sender: str, run: int) -> Any:
    """The mail; its id is the same at every attempt, so that a mailbox may know a second copy."""
    from email.message import EmailMessage
    from email.utils import formatdate

    message = EmailMessage()
    try:
        message["From"] = words.get("from", sender)
        for header, key in (("To", "to"), ("Cc", "cc"), ("Reply-To", "reply_to")):
            if key in words:
                message[header] = ", ".join(words[key]) if isinstance(words[key], list) else words[key]
        message["Subject"] = words["subject"]
        message["Date"] = formatdate(localtime=True)
        message["Message-ID"] = f"<jobd-{run}@{_address(sender).rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(words["body"].encode(errors="replace").decode())
    except (ValueError, IndexError, LookupError) as error:
        raise Failed(f"no mail can be made of it: {error}", retryable=False) from None
    return message


def _address(person: str) -> str:
    found = _PERSON.fullmatch(person.strip())
    return (found[2] or found[3]) if found else person


def _send(server: Json, words: dict[str, Any], message: Any) -> Json:
    import smtplib

    people = [_address(one) for key in ("to", "cc", "bcc") for one in words.get(key, ())]
    where = f"{server['host']}:{server['port']}"
    try:
        with _connected(server) as smtp:
            refused = smtp.send_message(message, _address(words.get("from", server["from"])), people)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal(f"{where} refused all recipients", error.recipients) from None
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise Failed(f"{where} answered {error.smtp_code} {said}", retryable=error.smtp_code < 500) from None
    except smtplib.SMTPNotSupportedError as error:
        raise Failed(f"{where} cannot do what is needed: {error}", retryable=False) from None
    except (OSError, smtplib.SMTPException) as error:
        raise Failed(f"{where} took no mail: {error}") from None
    if refused:
        # The others have it: a second attempt would be a second copy for them.
        raise Failed(
            f"{where} refused {', '.join(refused)}, and took it for the others", retryable=False, result=_told(refused)
        )
    return {"message_id": message["Message-ID"], "recipients": len(people)}


def _refusal(said: str, recipients: Mapping[str, tuple[int, bytes]]) -> Failed:
    passes = all(code < 500 for code, _ in recipients.values())
    code, text = next(iter(recipients.values()))
    return Failed(f"{said}: {code} {text.decode(errors='replace')}", retryable=passes, result=_told(recipients))


def _told(recipients: Mapping[str, tuple[int, bytes]]) -> Json:
    return {"refused": {who: f"{code} {text.decode(errors='replace')}" for who, (code, text) in recipients.items()}}


def _connected(server: Json) -> Any:
    """A session that is encrypted and logged in as jobd.yaml wants it."""
    import smtplib
    import ssl

    host, port = server["host"], server["port"]
    if server["tls"] == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=ssl.create_default_context())
    else:
        smtp = smtplib.SMTP(host, port, timeout=_SECONDS)
    try:
        if server["tls"] == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if server["user"] is not None:
            smtp.login(server["user"], server["password"])
    except BaseException:
        smtp.close()
        raise
    return smtp


def _with_password(server: Json) -> Json:
    """The server with the content of its password file, which the user of the job need not be able to read."""
    if server["password_file"] is None or "password" in server:
        return {"password": ""} | server
    try:
        with open(server["password_file"], encoding="utf-8") as file:
            return server | {"password": file.read(_MOST_PASSWORD_BYTES).strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"smtp.password_file of jobd.yaml cannot be read: {error}", retryable=False) from None
