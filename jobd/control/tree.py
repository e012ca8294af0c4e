"""The picture of a workflow over HTTP: the runs that hang together with one, and what waits for what."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobd.control.authorise import Deed, permits
from jobd.control.connections import actor_of
from jobd.control.jobs import owner_of
from jobd.control.ports import Desk
from jobd.control.routes import DESK, Route, answer, check_query, run_id
from jobd.control.runs import find
from jobd.control.shapes import time
from jobd.core.intents import Actor
from jobd.core.records import Relative


async def tree(request: web.Request) -> web.Response:
    """The nearest few hundred runs that hang together with a run, and the edges among them."""
    check_query(request, ())
    desk, who, run = request.app[DESK], actor_of(request), run_id(request)
    find(desk, run)
    kin = desk.reads.kin(run)
    return answer(
        {
            "run": run,
            "items": [_run(desk, one, who) for one in kin.runs],
            "edges": [
                {"parent": parent, "child": child, "on": on, "decision": decision}
                for parent, child, on, decision in kin.edges
            ],
            "truncated": kin.is_cut,
        }
    )


def _run(desk: Desk, one: Relative, who: Actor) -> dict[str, Any]:
    return {
        "id": one.id,
        "job": one.job,
        "state": one.state,
        "outcome": one.outcome,
        "exit_code": one.exit_code,
        "error": one.error if permits(who, Deed.SEE_CONTENTS, one.owner, job_owner=owner_of(desk, one.job)) else None,
        "attempts": one.attempts,
        "run_at": time(one.run_at),
        "started_at": time(one.started_at),
        "finished_at": time(one.finished_at),
        "duration": one.duration_seconds,
        "owner": one.owner,
    }


ROUTES = (Route("GET", "/v1/runs/{id}/tree", tree, "The runs that hang together with a run, and how"),)
