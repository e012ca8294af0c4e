"""A daemon whose shell_allowlist names two programs: nothing else runs, by whatever way it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobd.core.errors import Invalid
from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host

SETTINGS = "workers: {max: 2}\nshell_allowlist: [echo, env]\n"


@pytest.fixture
def held(make_host: MakeHost) -> Host:
    return make_host(SETTINGS).start()


def test_only_listed_programs_run_and_no_shell_does(held: Host, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    held.define("good", "jobs:\n  says: {shell: \"echo 'a; b' c\"}\n")
    held.define("bad", f"jobs:\n  chained: {{shell: 'echo a; touch {marker}'}}\n")
    held.define("worse", f"jobs:\n  other: {{command: [touch, {marker}]}}\n")
    held.define("loads", "jobs:\n  loads: {command: [echo], env: {LD_PRELOAD: /tmp/x.so}}\n")
    with held.client() as client:
        problems = client.reload()["problems"]
        assert [one.partition(": ")[2].partition(":")[0] for one in sorted(problems)] == [
            "jobs.chained.shell",
            "jobs.loads.env",
            "jobs.other.command",
        ]
        run = client.submit("says", max_attempts=1)
        assert held.ended(run)["state"] == "succeeded"
        assert held.output(run) == b"a; b c\n"
        with pytest.raises(Invalid, match="not on shell_allowlist"):
            client.submit_command(["touch", str(marker)])
        warned = client.status()["problems"]
    assert any("env can start any other program" in one for one in warned)
    assert not marker.exists()


def test_what_only_the_start_can_tell_is_refused_there(held: Host, tmp_path: Path) -> None:
    file = tmp_path / "vars"
    file.write_text("LD_PRELOAD=/tmp/x.so\n")
    file.chmod(0o600)
    held.define("late", f"jobs:\n  late: {{command: [echo, hello], env_file: [{file}]}}\n")
    with held.client() as client:
        assert client.reload()["problems"] == []
        run = client.submit("late", max_attempts=1)
    ended = held.ended(run)
    assert (ended["state"], ended["exit_code"]) == ("failed", 126)
    assert "LD_PRELOAD" in ended["error"]
