"""The masker of each run: what looks like a secret, and the values of the secrets of its own job.

Values are read when they are needed and remembered, so that a secret that was changed is still found in older output.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from jobd.core.masking import Masker
from jobd.core.model import Job
from jobd.work import credentials

_MOST_VALUES = 16
_MOST_MASKERS = 64


class SecretsOfRuns:
    def __init__(self, keys: Iterable[str]) -> None:
        self.masker = Masker(keys)
        self._values: dict[str, OrderedDict[bytes, None]] = {}
        """Source → the values it has had, the latest last."""
        self._maskers: OrderedDict[tuple[bytes, ...], Masker] = OrderedDict()

    def look_for(self, keys: Iterable[str]) -> None:
        """Go by other names of what is secret; the values that are known stay known."""
        self.masker = Masker(keys)
        self._maskers.clear()

    def of(self, job: Job | None) -> Masker:
        """The masker for the runs of a job."""
        if job is None or not job.secrets:
            return self.masker
        self.learn(job)
        values = tuple(value for _, source in job.secrets for value in self._values.get(source, ()))
        if values not in self._maskers:
            self._maskers[values] = self.masker.knowing(values)
            if len(self._maskers) > _MOST_MASKERS:
                self._maskers.popitem(last=False)
        return self._maskers[values]

    def learn(self, job: Job) -> None:
        """Look at the values that the secrets of a job have now."""
        for name, source in job.secrets:
            for value in credentials.known(((name, source),)):
                had = self._values.setdefault(source, OrderedDict())
                had[value] = None
                had.move_to_end(value)
                if len(had) > _MOST_VALUES:
                    had.popitem(last=False)
