"""jobd: the job scheduler and durable queue of a single Linux host."""

from __future__ import annotations

__all__ = ["Cancel", "Discard", "Retry", "Snooze", "__version__"]

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobd.core.verdicts import Cancel, Discard, Retry, Snooze


def __getattr__(name: str) -> object:
    """Load what a Python job may raise only when it is asked for: the package itself stays free to import."""
    if name in __all__:
        from jobd.core import verdicts

        return getattr(verdicts, name)
    raise AttributeError(f"module 'jobd' has no attribute {name!r}")
