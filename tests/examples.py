"""On how many examples a property is tried: on all where every test runs, on a part where somebody waits."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_PART, _LEAST = 5, 12
_is_quick = False


def be_quick() -> None:
    """Try properties that are read in from now on with a fifth of their examples."""
    global _is_quick  # noqa: PLW0603 - one run of the tests is quick or is not
    _is_quick = True
    settings.register_profile("quick", max_examples=examples(settings().max_examples))
    settings.load_profile("quick")


def be_patient() -> None:
    """No example has to be quick: the machine may be busy with something else."""
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")


def examples(count: int) -> int:
    """So many, or a fifth of that many where the run is to be quick."""
    return max(min(count, _LEAST), count // _PART) if _is_quick else count
