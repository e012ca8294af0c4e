"""`H` in a cron expression: a value that a job's name decides, so that many jobs do not start in the same minute."""

from __future__ import annotations

import re
from hashlib import sha256

from jobd.core.cronfields import DAY_OF_MONTH, DAY_OF_WEEK, FIELDS, check_range, check_step, value

_H = re.compile(r"h(?:\((?P<low>\w+)-(?P<high>\w+)\))?(?:/(?P<step>\d+))?", re.ASCII)


def settled(index: int, text: str, name: str) -> str:
    """A field with a value for each `H`: the same for the same name on every host and after every restart.

    `H` is one value of the field (of the days of a month one from 1 to 28, which all have), `H(9-17)` one of a range,
    `H/15` every 15th from one of the first 15 on. Raises ValueError for a range or step that the field does not have.
    """
    return ",".join(_settled_item(index, item, name) for item in text.split(","))


def _settled_item(index: int, item: str, name: str) -> str:
    match = _H.fullmatch(item)
    if not match:
        return item
    field = FIELDS[index]
    low, high = field.low, {DAY_OF_MONTH: 28, DAY_OF_WEEK: 6}.get(index, field.high)
    if match["low"]:
        low, high = value(match["low"], field), value(match["high"], field)
        check_range(item, low, high, field)
    check_step(item, match["step"], field)
    drawn = int.from_bytes(sha256(f"{field.name} of {name}".encode()).digest()[:8])
    if match["step"] is None:
        return str(low + drawn % (high - low + 1))
    step = int(match["step"])
    start = low + drawn % min(step, high - low + 1)
    return f"{start}-{high}/{step}" if start + step <= high else str(start)
