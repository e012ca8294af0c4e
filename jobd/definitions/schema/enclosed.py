"""What the processes of a job are kept from, whoever they run as."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from jobd.core import capabilities, model
from jobd.core.shown import shown
from jobd.definitions.schema.kinds import AbsolutePath, Read, Words

_TEMPORARY = {"/tmp", "/var/tmp", "/dev/shm"}  # noqa: S108 - not to write to


def _capabilities(value: Any) -> tuple[str, ...]:
    if value == "all":
        return ("all",)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{shown(value)} is not a list of capabilities, as in [net_raw, sys_time], or all")
    names = [name.lower().removeprefix("cap_") for name in value]
    for name in names:
        if name not in capabilities.NAMES and name != "all":
            raise ValueError(f"{shown(name)} is not a capability (see capabilities(7), like net_raw or sys_time)")
    return ("all",) if "all" in names else tuple(sorted(set(names)))


Capabilities = Annotated[
    tuple[str, ...],
    Read(_capabilities, {"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Sandbox(Words):
    no_new_privileges: bool = Field(default=False, description="Nothing it executes gives it more rights, as sudo.")
    private_tmp: bool = Field(default=False, description="Its /tmp, /var/tmp and /dev/shm are its own.")
    read_only_root: bool = Field(default=False, description="It can write to read_write_paths only.")
    read_write_paths: list[AbsolutePath] = Field(default_factory=list)
    no_network: bool = Field(default=False, description="It has no network but a loopback of its own.")
    drop_capabilities: Capabilities = Field(default=(), description="What root may do, and its processes may not.")
    strict: bool = Field(default=False, description="It is a service of systemd's, with everything of this and more.")

    @model_validator(mode="before")
    @classmethod
    def _may_be_one_word(cls, value: Any) -> Any:
        return {"strict": True} if value == "strict" else value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.strict and (said := self.model_fields_set - {"strict", "read_write_paths", "no_network"}):
            raise ValueError(f"{min(said)} is part of strict: true already (take one of them out)")
        if self.read_write_paths and not (self.read_only_root or self.strict):
            raise ValueError("read_write_paths are exceptions from read_only_root: true, which is not said")
        if "/" in self.read_write_paths:
            raise ValueError('read_write_paths: "/" would leave nothing read-only')
        if (self.private_tmp or self.strict) and (
            both := _TEMPORARY & {path.rstrip("/") for path in self.read_write_paths}
        ):
            raise ValueError(f"read_write_paths: {min(both)} is the job's own in this sandbox (take it out)")
        return self

    def sandbox(self) -> model.Sandbox:
        return model.Sandbox(
            no_new_privileges=self.no_new_privileges,
            private_tmp=self.private_tmp,
            read_only_root=self.read_only_root,
            read_write_paths=tuple(self.read_write_paths),
            no_network=self.no_network,
            drop_capabilities=self.drop_capabilities,
            strict=self.strict,
        )


class _OrOneWord:
    """For editors: `strict` stands for a mapping, as Sandbox reads it."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"const": "strict"}, handler(schema)]}


class Enclosed(Words):
    sandbox: Annotated[Sandbox, _OrOneWord()] = Sandbox()
