"""jobd: the job scheduler and durable queue of a single Linux host."""

from __future__ import annotations

__all__ = ["Cancel", "Discard", "Executor", "Failed", "Misread", "Retry", "Snooze", "Work", "__version__"]

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobd.core.executors import Executor, Failed, Misread, Work
    from jobd.core.verdicts import Cancel, Discard, Retry, Snooze


def __getattr__(name: str) -> object:
    """Load what jobs and executors are written with when it is asked for: the package itself stays free to import."""
    if name in __all__:
        from jobd.core import executors, verdicts

        return getattr(verdicts, name, None) or getattr(executors, name)
    raise AttributeError(f"module 'jobd' has no attribute {name!r}")
