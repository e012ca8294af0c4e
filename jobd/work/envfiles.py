"""The environment files of a job: read when an attempt starts, by the rules of `trusted`."""

from __future__ import annotations

from jobd.core import envfile
from jobd.work.accounts import Account, Refused
from jobd.work.trusted import content


def load(file: str, account: Account) -> dict[str, str]:
    """The variables of one file; `-` before its path lets it be missing. Raises Refused with what is wrong."""
    path = file.removeprefix("-")
    try:
        text = content(path, account).decode(errors="surrogateescape")
        return dict(envfile.variables(text))
    except FileNotFoundError:
        if file.startswith("-"):
            return {}
        raise Refused(f"env_file: {path} is not there (write -{path} where it may be missing)") from None
    except OSError as problem:
        raise Refused(f"env_file: {path} cannot be read: {problem.strerror}") from None
    except ValueError as problem:
        raise Refused(f"env_file: {path}: {problem}") from None
