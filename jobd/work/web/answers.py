"""What an answer means for the attempt: its result, and whether and when it is worth trying again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping

from jobd.core.executors import Failed
from jobd.core.model import Json
from jobd.work.resultwords import finite, is_too_deep, refuse_constant
from jobd.work.web.exchange import Response

_MOST_RESULT_BYTES = 128 * 1024
_LONGEST_WAIT_SECONDS = 86400.0
_PASSES = frozenset({408, 425, 429})
_JSON = re.compile(r"application/(?:[\w.+-]*\+)?json\b", re.IGNORECASE | re.ASCII)
_CHARSET = re.compile(r"charset=\"?([\w-]+)", re.IGNORECASE | re.ASCII)


def result(response: Response) -> dict[str, Json]:
    """Status and body, as a run keeps them: the body as JSON where it is that, else as text; none that is large."""
    kept: dict[str, Json] = {"status": response.status, "body": None}
    if not response.is_whole or len(response.body) > _MOST_RESULT_BYTES:
        kept["cut"] = True
    elif response.body:
        kept["body"] = _content(response)
    return kept


def _content(response: Response) -> Json:
    kind = response.headers.get("content-type", "")
    if _JSON.match(kind):
        try:
            value = json.loads(response.body, parse_constant=refuse_constant, parse_float=finite)
        except (ValueError, RecursionError):
            pass  # it calls itself JSON and is not: then it is text
        else:
            if not is_too_deep(value):
                return value
    charset = _CHARSET.search(kind)
    try:
        return response.body.decode(charset[1] if charset else "utf-8", "replace")
    except LookupError:
        return response.body.decode("utf-8", "replace")


def refusal(response: Response, method: str) -> Failed:
    """The failure of an unwanted status: what the other side may get over is tried again, and not before it says."""
    status = response.status
    passes = status >= 500 or status in _PASSES
    reason = f" {response.reason}" if response.reason else ""
    elsewhere = response.headers.get("location") if 300 <= status < 400 else None
    where = f" (it points to {elsewhere[:200]!r}: follow_redirects, or expect_status)" if elsewhere else ""
    return Failed(
        f"{method} was answered with {status}{reason}{where}",
        retryable=passes,
        retry_in_seconds=retry_after(response.headers) if passes else None,
        result=result(response),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the other side asks to be left alone for, a day at the most; None where it does not ask."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        seconds = float(said[:12])
    else:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(seconds, _LONGEST_WAIT_SECONDS) if seconds > 0 else None
