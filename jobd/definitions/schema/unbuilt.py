"""Words of the definition language whose part this version does not have: known, and refused aloud."""

from __future__ import annotations

_WORDS = {
    "notify": "watch the metrics instead",
}


def refusal(key: str) -> str | None:
    """Why a known key is refused, and what to do instead; None for a key that is built or unknown."""
    if key in _WORDS:
        return f"this version of jobd does not have {key} yet ({_WORDS[key]})"
    return None


WORDS = frozenset(_WORDS)
