"""Secrets: a job finds them in files of its own, and they are nowhere else (I25)."""

from __future__ import annotations

import base64
import os
import stat
import urllib.request
from pathlib import Path

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until

VALUE = "canary-8f2e/71+c0ffee"


def with_secret(host: Host, command: str, more: str = "") -> Path:
    source = host.directory / "db-password"
    source.unlink(missing_ok=True)
    source.write_text(VALUE + "\n")
    source.chmod(0o400)
    host.define("job", f"jobs:\n  job:\n    shell: |\n      {command}\n    secrets: {{DB: {source}}}\n{more}")
    with host.client() as client:
        client.request("POST", "/v1/reload")
    return source


def output(host: Host, run: int, *, raw: bool = False) -> str:
    with host.client() as client:
        return b"".join(client.output(run, "stdout", raw=raw)).decode()


def holding(directory: Path, value: bytes) -> list[str]:
    """The files below a directory in which a value stands."""
    return [str(path) for path in directory.rglob("*") if path.is_file() and value in path.read_bytes()]


def credentials(host: Host) -> list[Path]:
    return list((host.directory / "run" / "attempts").glob("*/credentials/*"))


def command_lines() -> bytes:
    found = b""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                found += (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended
    return found


def test_a_job_finds_its_secrets_in_files_of_its_own(served: Host) -> None:
    with_secret(served, 'cat "$CREDENTIALS_DIRECTORY/DB" && stat -c "%a %U" "$CREDENTIALS_DIRECTORY/DB"')
    with served.client() as client:
        run = client.submit("job")
    ended = served.ended(run)
    assert ended["state"] == "succeeded", ended
    assert output(served, run, raw=True).splitlines()[0] == VALUE
    assert output(served, run).splitlines()[0] == "***"
    assert output(served, run).splitlines()[1].startswith("400 ")
    assert credentials(served) == []


def test_secrets_are_masked_in_the_output_in_other_forms_and_in_errors(served: Host) -> None:
    with_secret(served, 'base64 "$CREDENTIALS_DIRECTORY/DB"; xargs printf "x%sx" < "$CREDENTIALS_DIRECTORY/DB"; exit 3')
    with served.client() as client:
        run = client.submit("job", max_attempts=1)
    assert served.ended(run)["state"] == "failed"
    shown = output(served, run)
    assert VALUE not in shown
    assert base64.b64encode(VALUE.encode()).decode()[:20] not in shown
    assert "x***x" in shown


def test_a_secret_is_nowhere_but_in_the_files_of_the_attempt(make_host: MakeHost) -> None:
    host = make_host().start()
    source = with_secret(
        host, 'test -s "$CREDENTIALS_DIRECTORY/DB" && echo there && sleep 60', "    kill_after: 0.2s\n"
    )
    with host.client() as client:
        run = client.submit("job")
        until(lambda: "there" in output(host, run), 20, "the job has looked")
        (file,) = credentials(host)
        assert stat.S_IMODE(file.stat().st_mode) == 0o400
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert set(holding(host.directory, VALUE.encode())) == {str(source), str(file)}
        assert VALUE.encode() not in command_lines()
        address = host.status()["metrics_address"]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
            assert VALUE.encode() not in answer.read()
        assert VALUE not in str(client.run(run))
        client.cancel(run)
    host.ended(run)
    assert holding(host.directory, VALUE.encode()) == [str(source)]


def test_secrets_go_after_everything_was_killed(make_host: MakeHost) -> None:
    host = make_host().start()
    with_secret(host, "echo there; sleep 60", "    on_lost: fail\n")
    with host.client() as client:
        run = client.submit("job")
        until(lambda: credentials(host) and "there" in output(host, run), 20, "the job runs")
    host.kill_everything()
    assert credentials(host)
    host.start()
    assert host.ended(run)["outcome"] == "lost"
    until(lambda: not credentials(host), 10, "its secrets are gone")


def test_a_secret_that_is_not_there_refuses_the_attempt_with_the_reason(served: Host) -> None:
    source = with_secret(served, "true")
    source.unlink()
    with served.client() as client:
        run = client.submit("job", max_attempts=1)
    ended = served.ended(run)
    assert ended["state"] == "failed"
    assert ended["error"].startswith(f"secrets: DB: {source} cannot be read")


def test_a_credential_of_the_unit_is_passed_on_by_its_name(make_host: MakeHost) -> None:
    host = make_host()
    given = host.directory / "given"
    given.mkdir()
    (given / "api").write_text(VALUE)
    host.environment["CREDENTIALS_DIRECTORY"] = str(given)
    host.start()
    host.define("job", 'jobs:\n  job: {shell: cat "$CREDENTIALS_DIRECTORY/KEY", secrets: {KEY: "credential:api"}}\n')
    with host.client() as client:
        client.request("POST", "/v1/reload")
    with host.client() as client:
        run = client.submit("job")
    assert host.ended(run)["state"] == "succeeded"
    assert (output(host, run, raw=True), output(host, run)) == (VALUE, "***")


def test_a_python_job_finds_its_secrets_too(served: Host) -> None:
    served.script(
        "keeps.py",
        "import os\ndef length(payload):\n    return len(open(os.environ['CREDENTIALS_DIRECTORY'] + '/DB').read())\n",
    )
    source = served.directory / "db"
    source.write_text(VALUE)
    served.define("job", f"jobs:\n  job: {{python: 'keeps:length', secrets: {{DB: {source}}}}}\n")
    with served.client() as client:
        client.request("POST", "/v1/reload")
    with served.client() as client:
        run = client.submit("job")
    assert served.ended(run)["result"] == len(VALUE)


def test_a_job_that_writes_to_the_journal_too_keeps_its_output_where_there_is_none(served: Host) -> None:
    served.define("told", "jobs:\n  told: {shell: echo out; echo err >&2, output: {journal: true}}\n")
    with served.client() as client:
        client.request("POST", "/v1/reload")
        run = client.submit("told")
    assert served.ended(run)["state"] == "succeeded"
    assert output(served, run) == "out\n"
