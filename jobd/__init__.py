"""jobd: the job scheduler and durable queue of a single Linux host."""

from __future__ import annotations

__all__ = [
    "Cancel",
    "Discard",
    "Executor",
    "Failed",
    "Misread",
    "Retry",
    "Sink",
    "Snooze",
    "Work",
    "__version__",
    "envelope",
]

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobd.core.envelopes import envelope
    from jobd.core.executors import Executor, Failed, Misread, Work
    from jobd.core.sinks import Sink
    from jobd.core.verdicts import Cancel, Discard, Retry, Snooze


def __getattr__(name: str) -> object:
    """Load what jobs and executors are written with when it is asked for: the package itself stays free to import."""
    if name in __all__:
        from jobd.core import envelopes, executors, sinks, verdicts

        return next(getattr(one, name) for one in (verdicts, executors, sinks, envelopes) if hasattr(one, name))
    raise AttributeError(f"module 'jobd' has no attribute {name!r}")
