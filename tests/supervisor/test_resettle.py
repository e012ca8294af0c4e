"""A jobd.yaml that was changed: each word of it holds at once or waits for a start, and which is known of all."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from jobd.supervisor.resettle import AT_A_START, AT_ONCE, Resettled, resettle
from jobd.supervisor.settings import Settings, load


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "jobd.yaml"
    path.write_text(text)
    return load(str(path), environ={})


def resettled(tmp_path: Path, before: str, after: str) -> Resettled:
    return resettle(read(tmp_path, before), read(tmp_path, after))


def test_of_every_setting_it_is_known_when_it_holds() -> None:
    assert AT_ONCE.keys() | AT_A_START.keys() == {field.name for field in fields(Settings)}
    assert not AT_ONCE.keys() & AT_A_START.keys()


def test_a_file_that_says_the_same_changes_nothing(tmp_path: Path) -> None:
    found = resettled(tmp_path, "queues: {mail: {max_running: 2}}", "queues:\n  mail: {max_running: 2}\n")
    assert (found.changed, found.waiting, found.binds_definitions) == ((), (), False)


def test_limits_hold_at_once_and_sockets_wait_for_a_start(tmp_path: Path) -> None:
    found = resettled(
        tmp_path, "", "queues: {mail: {max_running: 2, rate_limit: 5/min}}\nmetrics: {listen: 127.0.0.1:1}\n"
    )
    assert found.changed == ("queues",)
    assert found.waiting == ("metrics.listen",)
    assert found.settings.queues == {"mail": 2}
    assert found.settings.metrics_listen == ("127.0.0.1", 9764)
    assert not found.binds_definitions


def test_what_definitions_are_judged_by_has_them_judged_anew(tmp_path: Path) -> None:
    assert resettled(tmp_path, "", "defaults: {timeout: 5s}").binds_definitions
    assert resettled(tmp_path, "", "policy: {allow_shell: false}").binds_definitions
    assert resettled(
        tmp_path, "policy: {strict_queues: true}", "policy: {strict_queues: true}\nqueues: {a: {}}"
    ).changed
    strict = "policy: {strict_queues: true}\n"
    assert resettled(tmp_path, strict, strict + "queues: {mail: {}}").binds_definitions
