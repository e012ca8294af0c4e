"""A unit on its way into words: what is looked at is taken note of, so that every other setting can be named."""

from __future__ import annotations

import re
from typing import Any

from jobd.definitions.importers import execlines
from jobd.definitions.importers.unitfiles import Setting, Unit
from jobd.definitions.problems import Problem


class Reading:
    """The settings of one unit, the words made of them so far, and what those do not say."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.words: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()
        self.user = self.text("Service", "User") or None

    def all(self, section: str, key: str) -> list[Setting]:
        found = self.unit.all(section, key)
        self._seen |= {id(one) for one in found}
        return found

    def text(self, section: str, key: str, otherwise: str = "") -> str:
        found = self.all(section, key)
        return self.filled(found[-1].value, found[-1]) if found else otherwise

    def filled(self, text: str, setting: Setting) -> str:
        remarks: list[str] = []
        found = execlines.expand(text, self.unit, getattr(self, "user", None), remarks)
        for remark in remarks:
            self.tell(setting, remark)
        return found

    def tell(self, setting: Setting, remark: str) -> None:
        self.problems.append(Problem(setting.place, "", f"{setting.key}={setting.value}: {remark}"))

    def rest(self, *sections: str, silent: re.Pattern[str]) -> None:
        """Name every setting that nothing has asked for."""
        for section in sections:
            for one in self.unit.sections.get(section, ()):
                if id(one) not in self._seen and not silent.fullmatch(one.key):
                    self.tell(one, "has no counterpart in the job")
