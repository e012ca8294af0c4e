"""One module for each kind of work; here is what the worker asks of them, whatever the kind."""

from __future__ import annotations

from jobd.core.model import Call, Command, Python, Shell
from jobd.work.executors import command, shell
from jobd.work.wire import Order


def argv_of(order: Order) -> tuple[str, ...]:
    """What to execute for an order; nothing for what is called instead. Raises Refused."""
    match order.action:
        case Command(argv):
            return command.filled_in(argv, order.payload)
        case Shell(text):
            return shell.argv(text)
        case Python() | Call():
            return ()
