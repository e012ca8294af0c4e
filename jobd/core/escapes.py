"""Text on one line, with every character that moves a terminal, or hides text on it, as a visible escape."""

from __future__ import annotations

_HIDDEN = [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _HIDDEN}


def visible(text: str) -> str:
    """`text` with its C0, DEL and C1 controls, bidi controls and line separators shown (RELIABILITY 2.5)."""
    return text.translate(_ESCAPES)
