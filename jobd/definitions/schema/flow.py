"""Which other jobs a job brings along, by name; whether they are there is for the whole catalog to say."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jobd.core import names
from jobd.core.model import Workflow
from jobd.definitions.schema.kinds import Name, Words, one_or_list

Names = Annotated[list[Name], one_or_list({"type": "string", "pattern": f"^{names.NAME.pattern}$"})]


class Flow(Words):
    then: Names = Field(default_factory=list, description="Jobs that run once a run of this one has succeeded.")
    catch: Names = Field(default_factory=list, description="Jobs that run once a run of this one has failed for good.")
    finally_: Names = Field(
        default_factory=list, alias="finally", description="Jobs that run once a run of this one has ended, however."
    )
    chain: Names = Field(
        default_factory=list, description="Jobs that run one after the other, as long as each succeeds."
    )
    needs: Names = Field(default_factory=list, description="Jobs that run first, and must succeed.")

    def workflow(self) -> Workflow:
        return Workflow(
            then=tuple(self.then),
            catch=tuple(self.catch),
            finally_=tuple(self.finally_),
            chain=tuple(self.chain),
            needs=tuple(self.needs),
        )
