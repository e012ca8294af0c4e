"""What an examination of the host finds: one fact, how bad it is, and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How a fact is to be taken."""

    OK = "ok"
    UNKNOWN = "unknown"
    """Whoever asks may not look, or nobody can tell."""
    WARNING = "warning"
    """jobd works, and less well than it could."""
    BAD = "bad"
    """Something does not work, or will not for long."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about one subject; `mend` is what to do about it, empty where there is nothing to do."""

    check: str
    grade: Grade
    detail: str
    mend: str = ""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Grade.OK, detail)


def unknown(check: str, detail: str, mend: str = "") -> Finding:
    return Finding(check, Grade.UNKNOWN, detail, mend)


def warning(check: str, detail: str, mend: str) -> Finding:
    return Finding(check, Grade.WARNING, detail, mend)


def bad(check: str, detail: str, mend: str) -> Finding:
    return Finding(check, Grade.BAD, detail, mend)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing is bad; a warning makes no host ill."""
    return all(finding.grade is not Grade.BAD for finding in findings)
