"""What a systemd service runs, in order: as one command where that says it all, else as a text for the shell."""

from __future__ import annotations

import shlex
from typing import Any

from jobd.definitions.importers import execlines
from jobd.definitions.importers.execlines import Call
from jobd.definitions.importers.reading import Reading
from jobd.definitions.problems import Problem

_TESTS = {
    "ConditionPathExists": "-e",
    "ConditionPathIsDirectory": "-d",
    "ConditionPathIsSymbolicLink": "-L",
    "ConditionPathIsReadWrite": "-w",
    "ConditionFileNotEmpty": "-s",
    "ConditionFileIsExecutable": "-x",
}


def read(reading: Reading) -> None:
    """Every command in order, as one command where one says it all, else as a text for the shell."""
    main = _calls(reading, "ExecStart")
    before = _conditions(reading)
    before += [f"{call.shell()} || exit 0" for call in _calls(reading, "ExecCondition")]
    before += [_step(call) for call in _calls(reading, "ExecStartPre")]
    after = [_step(call) for call in _calls(reading, "ExecStartPost")]
    if not main:
        place = reading.unit.place
        reading.problems.append(Problem(place, "", f"{reading.unit.name} has no ExecStart that can be run"))
        return
    if len(main) == 1 and not before and not after and main[0].is_literal and not main[0].ignores_failure:
        reading.words |= _alone(main[0])
        return
    steps = [*before, *map(_step, main), *after]
    lines = [*(["set -f"] if any("$" in step for step in steps) else []), *steps]
    lines[-1] = lines[-1].removesuffix(" || exit")
    reading.words["shell"] = "\n".join(lines) + "\n" if len(lines) > 1 else lines[0]


def _alone(call: Call) -> dict[str, Any]:
    words = list(call.words)
    is_shell = len(words) == 3 and words[:2] == ["/bin/sh", "-c"] and words[2].strip()
    return {"shell": words[2]} if is_shell else {"command": words}


def _step(call: Call) -> str:
    return call.shell() if call.ignores_failure else f"{call.shell()} || exit"


def _calls(reading: Reading, key: str) -> list[Call]:
    found: list[Call] = []
    for setting in reading.all("Service", key):
        try:
            calls = execlines.calls(setting.value, reading.unit, reading.user)
        except ValueError as error:
            reading.tell(setting, f"is left out: {error}")
            continue
        for call in calls:
            for remark in call.remarks:
                reading.tell(setting, remark)
        found += calls
    return found


def _conditions(reading: Reading) -> list[str]:
    """The conditions that a test of the shell says; a job that finds one wanting ends at once, and well."""
    found = []
    for key, option in _TESTS.items():
        for setting in reading.all("Unit", key):
            path = reading.filled(setting.value, setting)
            if path.startswith("|"):
                reading.tell(setting, "is left out: one of several conditions that may hold")
                continue
            test = f"test {'! ' if path.startswith('!') else ''}{option} {shlex.quote(path.lstrip('!'))}"
            found.append(f"{test} || exit 0")
    return found
