"""The audit trail over HTTP: who changed what, and whether the trail is whole."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from jobd.control import shapes
from jobd.control.authorise import Deed
from jobd.control.ports import Reads
from jobd.control.routes import DESK, Route, answer, check_query, number
from jobd.control.runs import since
from jobd.core.audit import first_broken

_QUERY = ("user", "since", "limit", "cursor")
_AT_ONCE = 2000


async def listing(request: web.Request) -> web.Response:
    """Entries, newest first."""
    query = check_query(request, _QUERY)
    limit = number(query, "limit", 50, 1, 1000)
    before = number(query, "cursor", 0, 1, 2**63 - 1) or None
    user = query.get("user")
    found = request.app[DESK].reads.audit(before, since(query.get("since"), datetime.now(UTC)), user, limit + 1)
    items = [shapes.audited(one) for one in found[:limit]]
    return answer({"items": items, "next_cursor": str(items[-1]["id"]) if len(found) > limit else None})


async def verify(request: web.Request) -> web.Response:
    """Follow the chain of digests from the oldest entry to the newest; others have their turn in between."""
    check_query(request, ())
    return answer(await _followed(request.app[DESK].reads))


async def _followed(reads: Reads) -> dict[str, Any]:
    previous, last, count = reads.audit_anchor(), 0, 0
    while found := reads.audit_after(last, _AT_ONCE):
        gap = last and found[0].id != last + 1
        broken = found[0].id if gap else first_broken(previous, found)
        if broken is not None:
            return {"whole": False, "entries": count, "broken_at": broken, "digest": None}
        previous, last, count = found[-1].digest, found[-1].id, count + len(found)
        await asyncio.sleep(0)
    return {"whole": True, "entries": count, "broken_at": None, "digest": previous.hex()}


ROUTES = (
    Route("GET", "/v1/audit", listing, "Who changed what", Deed.AUDIT, query=_QUERY, answers="list"),
    Route("GET", "/v1/audit/verify", verify, "Whether the audit trail is whole", Deed.AUDIT),
)
