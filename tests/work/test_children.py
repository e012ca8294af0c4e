"""What a job finds when it starts, and what becomes of what it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from jobd.core.model import Directive, Ending
from jobd.core.states import Outcome
from jobd.work.orders import Order
from tests.work.harness import Floor, alive_with, command, floor, key, python, shell, token

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run jobs as other users")


def one(tmp_path: Path, order: Order, **values: object) -> tuple[Ending, bytes, bytes]:
    """The ending, stdout and stderr of one order."""

    async def scenario() -> tuple[Ending, bytes, bytes]:
        async with floor(tmp_path, **values) as hall:  # type: ignore[arg-type]
            (ending,) = await hall.run(order)
            return ending, hall.output(order.key.run), hall.output(order.key.run, "stderr")

    return asyncio.run(scenario())


def test_stdout_and_stderr_are_kept_apart_as_bytes(tmp_path: Path) -> None:
    """B18."""
    ending, out, err = one(tmp_path, shell(1, r"printf 'a\0b\377\n'; printf 'e\200' >&2"))
    assert (out, err) == (b"a\0b\xff\n", b"e\x80")
    assert (ending.usage.stdout_bytes, ending.usage.stderr_bytes) == (5, 2)


def test_the_end_is_that_of_the_leader_and_not_of_its_pipes(tmp_path: Path) -> None:
    """B4."""
    mark = str(int(token(), 16))
    since = time.monotonic()
    ending, out, _ = one(tmp_path, shell(1, f"(setsid sleep 60.{mark} &); echo hi"))
    assert time.monotonic() - since < 20
    assert (ending.outcome, out, ending.usage.leftovers) == (Outcome.SUCCEEDED, b"hi\n", 1)
    assert alive_with(mark) == []


def test_leftovers_that_ignore_term_are_killed_after_a_second(tmp_path: Path) -> None:
    mark = str(int(token(), 16))
    ending, _, _ = one(tmp_path, shell(1, f"setsid sh -c 'trap \"\" TERM; sleep 60.{mark}' & sleep 0.2"))
    assert ending.outcome is Outcome.SUCCEEDED
    assert ending.finished_at and ending.started_at
    assert (ending.finished_at - ending.started_at).total_seconds() < 2
    assert alive_with(mark) == []


def test_background_processes_may_stay_where_the_job_says_so(tmp_path: Path) -> None:
    mark = str(int(token(), 16))

    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            text = f"setsid sleep 60.{mark} >/dev/null 2>&1 & echo hi"
            ending, after = await hall.run(shell(1, text, allow_background=True), shell(2, "echo next"))
            assert (ending.outcome, ending.usage.leftovers, hall.output(1)) == (Outcome.SUCCEEDED, 0, b"hi\n")
            assert after.outcome in (Outcome.SUCCEEDED, Outcome.INTERRUPTED)
            # The worker that bore it is replaced, and neither its end nor that of another one reaches the process.
            await hall.run(shell(3, "kill -9 $PPID"), shell(4, "true"))
            await hall.until(lambda: len(alive_with(mark)) == 1)

    asyncio.run(scenario())
    for pid in alive_with(mark):
        os.kill(pid, 9)


def test_signals_are_as_a_new_program_expects_them(tmp_path: Path) -> None:
    """B9."""
    _, out, _ = one(tmp_path, command(1, "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"))
    assert out.split()[1::2] == [b"0" * 16, b"0" * 16]


@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=needs_root)])
def test_no_descriptor_but_the_standard_ones_is_inherited(tmp_path: Path, user: str | None) -> None:
    """B10."""
    open_up(tmp_path)
    _, out, _ = one(tmp_path, command(1, "ls", "/proc/self/fd", user=user))
    # The fourth is the directory that ls itself has open.
    assert out.split() == [b"0", b"1", b"2", b"3"]


def test_the_job_has_a_session_of_its_own_and_no_terminal(tmp_path: Path) -> None:
    """B21."""
    _, out, _ = one(tmp_path, shell(1, "ps -o pid=,sid=,tty= -p $$"))
    pid, session, terminal = out.split()
    assert pid == session and terminal == b"?"


OWN = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "MINE", "NOTIFY_SOCKET"}


def test_the_environment_is_built_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B11."""
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", "LD_LIBRARY_PATH", "PYTHONX"):
        monkeypatch.setenv(name, "canary")
    for n in range(34):
        monkeypatch.setenv(f"CANARY_{n}", "canary")
    order = command(7, "/usr/bin/env", payload='{"a": 1}', env=(("MINE", "yes"), ("JOBD_JOB", "forged")))
    _, out, _ = one(tmp_path, order)
    env = dict(line.split("=", 1) for line in out.decode().splitlines())
    assert "canary" not in out.decode()
    assert env.keys() >= OWN
    assert (env["JOBD_JOB"], env["JOBD_RUN_ID"], env["JOBD_ATTEMPT"]) == ("job", "7", "1")
    assert env["JOBD_PAYLOAD"] == '{"a": 1}'
    assert all(name.startswith("JOBD_") for name in env.keys() - OWN)


def test_a_payload_too_large_for_a_variable_comes_as_a_file(tmp_path: Path) -> None:
    payload = json.dumps("x" * 140_000)
    ending, out, _ = one(
        tmp_path, shell(1, 'echo "${JOBD_PAYLOAD-unset}"; wc -c < "$JOBD_PAYLOAD_FILE"', payload=payload)
    )
    assert ending.outcome is Outcome.SUCCEEDED
    assert out.split() == [b"unset", str(len(payload)).encode()]


def test_stdin_is_the_given_text_or_nothing(tmp_path: Path) -> None:
    _, out, _ = one(tmp_path, shell(1, "cat", stdin="given text"))
    assert out == b"given text"
    _, out, _ = one(tmp_path / "b", shell(1, "cat; readlink /proc/self/fd/0"))
    assert out == b"/dev/null\n"


def test_directory_umask_and_nice_are_the_jobs(tmp_path: Path) -> None:
    text = "pwd; umask; nice"
    _, out, _ = one(tmp_path, shell(1, text, cwd="/usr", umask=0o027, nice=5))
    assert out.split() == [b"/usr", b"0027", b"5"]


def test_a_payload_value_stays_inside_its_argument(tmp_path: Path) -> None:
    order = command(
        1, "printf", "[%s]", "a ${payload.name} b", "${payload.n}", payload='{"name": "x y; $(id)", "n": 3}'
    )
    assert one(tmp_path, order)[1] == b"[a x y; $(id) b][3]"


def test_a_missing_payload_value_is_refused_and_not_retried(tmp_path: Path) -> None:
    ending, _, _ = one(tmp_path, command(1, "echo", "${payload.nope}", payload="{}"))
    assert (ending.outcome, ending.retryable, ending.started_at) == (Outcome.FAILED, False, None)
    assert ending.error and "nope" in ending.error


def test_a_result_file_becomes_the_result_and_the_word_on_the_run(tmp_path: Path) -> None:
    text = """echo '{"rows": 3, "jobd": {"retry_in": 30, "reason": "busy"}}' > "$JOBD_RESULT_FILE"; exit 1"""
    ending, _, _ = one(tmp_path, shell(1, text))
    assert ending.result == {"rows": 3}
    assert ending.directive == Directive("retry", 30.0, "busy")


def test_a_reason_without_end_is_cut(tmp_path: Path) -> None:
    """It goes into listings, and is masked in the daemon's own time."""
    reason = "$(head -c 500000 /dev/zero | tr '\\0' x)"
    text = f'printf \'{{"jobd": {{"discard": "%s"}}}}\' "{reason}" > $JOBD_RESULT_FILE'
    ending, _, _ = one(tmp_path, shell(1, text))
    assert ending.directive is not None and ending.directive.kind == "discard"
    assert len(ending.directive.reason) == 1000 and ending.directive.reason.endswith("x…")


def test_a_hostile_result_file_is_named_and_ignored(tmp_path: Path) -> None:
    cases = [
        ('ln -s /etc/passwd "$JOBD_RESULT_FILE"', "cannot be read"),
        ('ln "$JOBD_PAYLOAD_FILE" "$JOBD_RESULT_FILE"', "regular file"),
        ('mkfifo "$JOBD_RESULT_FILE"', "regular file"),
        ('mkdir "$JOBD_RESULT_FILE"', "regular file"),
        ('head -c 1100000 /dev/zero > "$JOBD_RESULT_FILE"', "more than"),
        ('echo "{" > "$JOBD_RESULT_FILE"', "not JSON"),
        ('echo 1e999 > "$JOBD_RESULT_FILE"', "out of range"),
        ('echo NaN > "$JOBD_RESULT_FILE"', "not JSON"),
        (f"echo '{'[' * 33 + ']' * 33}' > \"$JOBD_RESULT_FILE\"", "32 levels"),
        ('echo \'{"jobd": {"retry_in": "soon"}}\' > $JOBD_RESULT_FILE', "takes seconds"),
        ('echo \'{"jobd": {"jump": 1}}\' > $JOBD_RESULT_FILE', "exactly one of"),
        ('echo \'{"jobd": {"retry_in": 1, "raeson": ""}}\' > $JOBD_RESULT_FILE', 'knows no "raeson"'),
    ]

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            endings = await hall.run(*(shell(n, text) for n, (text, _) in enumerate(cases)))
            for (text, words), ending in zip(cases, endings, strict=True):
                assert (ending.outcome, ending.result, ending.directive) == (Outcome.SUCCEEDED, None, None), text
                assert ending.error and words in ending.error, (text, ending.error)

    asyncio.run(scenario())


def test_the_private_directory_goes_whatever_is_in_it_and_nothing_else_does(tmp_path: Path) -> None:
    """B24."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "precious").write_text("here")
    text = f"""cd "$(dirname "$JOBD_PAYLOAD_FILE")"; stat -c %a .; ln -s {canary} link; ln -s {canary}/precious file
    i=0; while [ $i -lt 150 ]; do mkdir d; touch f; ln -s {canary} l; cd d; i=$((i+1)); done; chmod 0 ."""
    ending, out, _ = one(tmp_path, shell(1, text))
    assert (ending.outcome, out) == (Outcome.SUCCEEDED, b"700\n")
    assert (canary / "precious").read_text() == "here"
    assert list((tmp_path / "run" / "attempts").iterdir()) == []


def spawn_errors(directory: Path) -> dict[str, tuple[Order, int, str]]:
    plain, script = directory / "plain", directory / "script"
    plain.write_text("echo hi\n")
    script.write_text("echo hi\n")
    script.chmod(0o755)
    return {
        "not there": (command(1, "/nonexistent/program"), 127, "not found"),
        "not on the path": (command(2, "no-such-program-here"), 127, "not found"),
        "not executable": (command(3, str(plain)), 126, "permission denied"),
        "no interpreter named": (command(4, str(script)), 126, "not a program"),
        "a directory": (command(5, "/usr"), 126, "permission denied"),
        "too long": (command(6, "echo", "x" * 140_000), 126, "too long"),
        "NUL": (command(7, "echo", "a\0b"), 126, "NUL"),
        "no such directory": (command(8, "true", cwd="/nonexistent"), 126, "working directory"),
        "NUL in a variable": (command(11, "true", env=(("A", "b\0"),)), 126, "NUL"),
        "impossible variable": (command(12, "true", env=(("A=B", "c"),)), 126, "possible name"),
        "no text": (command(13, "echo", "\ud800"), 126, "cannot be given"),
        "no text on stdin": (command(14, "cat", stdin="\ud800"), 126, "stdin"),
        "empty": (command(15), 126, "empty"),
        "no such user": (command(9, "true", user="nobody-like-this"), 126, "no user"),
        "no such group": (command(10, "true", group="no-group-like-this"), 126, "no group"),
    }


def open_up(directory: Path) -> None:
    """Let other users reach what lies in a test's directory."""
    for place in (directory, *directory.parents):
        if place.name.startswith(("pytest-", "popen-")):
            place.chmod(place.stat().st_mode | 0o055)
    directory.chmod(0o755)


def test_each_way_not_to_start_is_named_and_not_retried(tmp_path: Path) -> None:
    """B15."""
    cases = spawn_errors(tmp_path)

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            endings = await hall.run(*(order for order, _, _ in cases.values()))
            for (name, (_, exit_code, words)), ending in zip(cases.items(), endings, strict=True):
                assert (ending.outcome, ending.exit_code) == (Outcome.FAILED, exit_code), name
                assert ending.error and words in ending.error, (name, ending.error)
                assert (ending.retryable, ending.spent, ending.started_at) == (False, True, None), name

    asyncio.run(scenario())


def test_a_program_that_is_being_written_may_be_tried_again(tmp_path: Path) -> None:
    """B15: ETXTBSY passes."""
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    with program.open("r+b"):
        ending, _, _ = one(tmp_path, command(1, str(program)))
    assert (ending.exit_code, ending.retryable) == (126, True)


@needs_root
@pytest.mark.parametrize(
    "order", [shell(1, "id -u; id -g; id -G", user="nobody"), shell(1, "id -u; id -g; id -G", group="4")]
)
def test_another_user_is_taken_on_with_all_its_groups(tmp_path: Path, order: Order) -> None:
    open_up(tmp_path)
    _, out, _ = one(tmp_path, order)
    uid, gid, groups = out.decode().splitlines()
    assert groups.split()[0] == gid
    if order.user:
        assert (uid, gid, groups) == ("65534", "65534", "65534")
    else:
        assert (uid, gid) == ("0", "4")


@needs_root
def test_another_user_gets_its_own_private_files(tmp_path: Path) -> None:
    open_up(tmp_path)
    text = (
        'cat "$JOBD_PAYLOAD_FILE"; echo \'{"done": true}\' > "$JOBD_RESULT_FILE"; ls /root 2>/dev/null || echo refused'
    )
    ending, out, err = one(tmp_path, shell(1, text, user="nobody", payload="[1]"))
    assert (ending.result, out) == ({"done": True}, b"[1]refused\n"), err


def test_exit_status_and_signal_are_told(tmp_path: Path) -> None:
    async def scenario(hall: Floor) -> None:
        plain, by_signal, allowed = await hall.run(
            shell(1, "exit 3"), shell(2, "kill -SEGV $$"), shell(3, "exit 3", success_exit_status=(0, 3))
        )
        assert (plain.outcome, plain.exit_code, plain.error) == (Outcome.FAILED, 3, "exited with 3")
        assert (by_signal.outcome, by_signal.exit_code, by_signal.signal) == (Outcome.KILLED, 139, 11)
        assert (allowed.outcome, allowed.exit_code) == (Outcome.SUCCEEDED, 3)

    async def opened() -> None:
        async with floor(tmp_path) as hall:
            await scenario(hall)

    asyncio.run(opened())


def test_cpu_time_and_memory_are_measured_descendants_included(tmp_path: Path) -> None:
    text = (
        "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'; head -c 50000000 /dev/zero | tail -c 50000000 >&2"
    )
    ending, _, _ = one(tmp_path, shell(1, text))
    assert ending.usage.cpu_user_seconds + ending.usage.cpu_system_seconds > 0.02
    assert ending.usage.peak_memory_bytes > 50_000_000


def test_output_that_may_not_be_cut_ends_the_job(tmp_path: Path) -> None:
    ending, _, _ = one(
        tmp_path, shell(1, "yes", output_max_bytes=10_000, output_on_limit="kill", kill_after_seconds=0.2)
    )
    assert ending.outcome is Outcome.KILLED
    assert ending.error and "10000 bytes" in ending.error
    assert ending.usage.output_cut


def test_a_gibibyte_of_output_takes_little_memory_and_disk(tmp_path: Path) -> None:
    """What counts is the cap, however fast the job writes."""

    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            await hall.run(shell(1, "echo $PPID"))
            worker = int(hall.output(1))
            before = resident(worker)
            amount = 1 << 30
            (ending,) = await hall.run(
                shell(2, f"echo BEGIN; head -c {amount} /dev/zero; echo END", timeout_seconds=60.0)
            )
            assert ending.outcome is Outcome.SUCCEEDED and ending.usage.output_cut
            assert ending.usage.stdout_bytes == amount + 10
            kept = hall.output(2)
            assert kept.startswith(b"BEGIN\n") and kept.endswith(b"END\n") and b" bytes cut]\n" in kept
            assert len(kept) < (1 << 20) + 100
            assert resident(worker) - before < 4 << 20

    asyncio.run(scenario())


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_python_job_and_a_command_see_the_same_words(tmp_path: Path, callables: str) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables]) as hall:
            called, _ = await hall.run(python(1, "callables:whereabouts"), command(2, "/usr/bin/env"))
            names = {line.split("=", 1)[0] for line in hall.output(2).decode().splitlines()}
            assert names - set(called.result["env"]) == {"JOBD_PAYLOAD_FILE", "JOBD_RESULT_FILE", "NOTIFY_SOCKET"}
            assert called.result["env"]["JOBD_RUN_ID"] == "1"
            assert key(1) in hall.started

    asyncio.run(scenario())
