"""One module for each kind of work; here is what the worker asks of them, whatever the kind."""

from __future__ import annotations

from collections.abc import Mapping

from jobd.core.allowlist import Allowlist, loads_code, words
from jobd.core.model import Call, Command, Json, Python, Shell
from jobd.work.accounts import Refused
from jobd.work.executors import command, shell
from jobd.work.orders import Order
from jobd.work.programs import Programs


def argv_of(order: Order, settings: Mapping[str, Json]) -> tuple[str, ...]:
    """What to execute for an order; nothing for what is called instead. Raises Refused."""
    allowed = settings.get("shell_allowlist") or ()
    match order.action:
        case Command(argv):
            filled = command.filled_in(argv, order.payload)
            return _admitted(filled, allowed) if allowed else filled
        case Shell(text):
            return _admitted(text, allowed) if allowed else shell.argv(text)
        case Python() | Call():
            return ()


def check_variables(order: Order, env: Mapping[str, str], settings: Mapping[str, Json]) -> None:
    """Raise Refused for a variable by which a program on the list would run what is not on it."""
    if settings.get("shell_allowlist") and isinstance(order.action, Command | Shell):
        for name in env:
            if loads_code(name):
                raise Refused(f"shell_allowlist: the variable {name} could have a program run any other")


def _admitted(asked: str | tuple[str, ...], allowed: Json) -> tuple[str, ...]:
    """Checked at the moment of the start again: what the payload, the disk or the list say may be new."""
    try:
        return Allowlist(tuple(allowed), Programs()).admit(words(asked) if isinstance(asked, str) else asked)
    except ValueError as error:
        raise Refused(str(error)) from None
