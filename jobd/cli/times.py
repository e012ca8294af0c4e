"""Instants and spans as a person at a terminal reads them: the local zone, with a hint of how far away they are."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from jobd.core.spans import seconds, show_seconds


def instant(text: str) -> datetime:
    """The aware instant of an RFC 3339 text, as the API writes them."""
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def near(at: datetime, now: datetime) -> str:
    """How far `at` is from `now`: `in 4 min`, `2 h ago`, `now`."""
    distance = (at - now).total_seconds()
    amount = _rounded(abs(distance))
    if amount is None:
        return "now"
    return f"in {amount}" if distance > 0 else f"{amount} ago"


def _rounded(total: float) -> str | None:
    if total < 1:
        return None
    if total < 90:
        return f"{total:.0f} s"
    if total < 90 * 60:
        return f"{total / 60:.0f} min"
    if total < 48 * 3600:
        return f"{total / 3600:.0f} h"
    return f"{total / 86400:.0f} d"


def clock(at: datetime, now: datetime) -> str:
    """`at` in the local zone, no longer than needed: the time of day for today, else the date too."""
    local, today = at.astimezone(), now.astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%Y-%m-%d %H:%M:%S}"


def told(text: str | None, now: datetime) -> str:
    """An instant of the API with its hint, `14:30:00 (in 4 min)`; `-` where there is none."""
    if not text:
        return "-"
    at = instant(text)
    return f"{clock(at, now)} ({near(at, now)})"


def lasted(total: float | None) -> str:
    """A duration in seconds as a person writes it; `-` where there is none."""
    return "-" if total is None else show_seconds(total)


def moment(text: str, now: datetime) -> datetime:
    """The instant a person means: RFC 3339, a local `2026-12-24T18:00` or `18:00` (the next one), or a span from now.

    Raises ValueError with a hint for anything else.
    """
    try:
        return now + timedelta(seconds=seconds(text.removeprefix("+")))
    except ValueError:
        pass
    try:
        if len(text) <= 8 and ":" in text:
            return _next_time_of_day(text, now)
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        raise ValueError(f'"{text}" is no instant (try 18:00, 2026-12-24T18:00, or 15m for in 15 minutes)') from None


def _next_time_of_day(text: str, now: datetime) -> datetime:
    local = now.astimezone().replace(tzinfo=None)
    wanted = datetime.combine(local.date(), time.fromisoformat(text.zfill(5)))
    if wanted <= local:
        wanted += timedelta(days=1)
    return wanted.astimezone(UTC)


def since(text: str, now: datetime) -> datetime:
    """Where `--since` points to: a span back from now, or an instant."""
    try:
        return now - timedelta(seconds=seconds(text))
    except ValueError:
        return moment(text, now)
