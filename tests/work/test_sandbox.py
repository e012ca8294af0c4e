"""Sandboxes against jobs that want out, and that what cannot be had refuses the attempt."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobd.core import capabilities
from jobd.core.model import Ending, Limits, Sandbox
from jobd.core.states import Outcome
from jobd.work.bounds import Unmet
from jobd.work.confinement import Bound, GiveUp, Ground, Mounts, Namespaces, NoNewPrivileges, plan
from jobd.work.sandbox import Enclosure, planned, take
from tests.work.harness import python, shell
from tests.work.test_children import needs_root, one, open_up

_DUMPABLE = 4


def _may_have_namespaces() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-mn", "true"], capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not _may_have_namespaces(), reason="takes root with the right to namespaces")
as_whom = pytest.mark.parametrize("user", [None, "nobody"])


def said(tmp_path: Path, sandbox: Sandbox, text: str, **values: Any) -> tuple[Ending, str]:
    """How a shell job in a sandbox ends, and all that it says."""
    tmp_path.mkdir(exist_ok=True)
    open_up(tmp_path)
    ending, out, err = one(tmp_path, shell(1, f"exec 2>&1; {text}", **{"cwd": "/", "sandbox": sandbox} | values))
    return ending, (out + err).decode(errors="replace")


@pytest.fixture
def precious() -> Iterator[Path]:
    """A file outside /tmp that everybody may write to."""
    path = Path("/var/lib") / f"jobd-test-{os.getpid()}"
    path.mkdir(mode=0o777)
    path.chmod(0o777)
    (path / "file").write_text("whole")
    (path / "file").chmod(0o666)
    yield path
    shutil.rmtree(path)


@needs_namespaces
@as_whom
def test_a_private_tmp_is_empty_and_nothing_in_it_gets_out(tmp_path: Path, user: str | None) -> None:
    seen = Path("/tmp") / f"jobd-seen-{os.getpid()}"
    seen.write_text("of the host")
    mark = f"jobd-left-{os.getpid()}"
    text = f"for d in /tmp /var/tmp /dev/shm; do echo x > $d/{mark}; done; test ! -e {seen}; echo $?; stat -c %a /tmp"
    try:
        ending, told = said(tmp_path, Sandbox(private_tmp=True), text, user=user)
    finally:
        seen.unlink()
    assert (ending.outcome, told) == (Outcome.SUCCEEDED, "0\n1777\n")
    assert not [place for place in ("/tmp", "/var/tmp", "/dev/shm") if (Path(place) / mark).exists()]


@needs_namespaces
@as_whom
@pytest.mark.parametrize("sandbox", [Sandbox(private_tmp=True), Sandbox(read_only_root=True)])
def test_payload_and_result_pass_through_every_sandbox(tmp_path: Path, user: str | None, sandbox: Sandbox) -> None:
    text = 'cat "$JOBD_PAYLOAD_FILE"; echo \'{"n": 1}\' > "$JOBD_RESULT_FILE"'
    ending, told = said(tmp_path, sandbox, text, user=user, payload="[7]")
    assert (ending.result, told) == ({"n": 1}, "[7]")


@needs_namespaces
@as_whom
def test_a_read_only_root_is_written_to_by_nobody_but_where_it_says(
    tmp_path: Path, precious: Path, user: str | None
) -> None:
    open_place = precious / "open"
    open_place.mkdir()
    open_place.chmod(0o777)
    attempts = (
        f"echo broken > {precious}/file; rm {precious}/file; touch {precious}/new; mv {precious}/file {precious}/other;"
        f"chmod 0 {precious}/file; ln {precious}/file {precious}/link; truncate -s 0 {precious}/file;"
        "echo x > /tmp/x; echo x > /var/tmp/x; echo x > /etc/x; echo jobd > /proc/sys/kernel/domainname;"
        f"echo fine > {open_place}/mine; echo x > /dev/null && echo done"
    )
    ending, told = said(
        tmp_path, Sandbox(read_only_root=True, read_write_paths=(str(open_place),)), attempts, user=user
    )
    assert ending.outcome is Outcome.SUCCEEDED and told.endswith("done\n")
    assert sorted(path.name for path in precious.iterdir()) == ["file", "open"]
    assert (precious / "file").read_text() == "whole" and (open_place / "mine").read_text() == "fine\n"


@needs_namespaces
@as_whom
def test_no_job_mounts_its_way_out(tmp_path: Path, precious: Path, user: str | None) -> None:
    ways = (
        "mount -o remount,rw /; mount -o remount,rw,bind /; umount /tmp; umount -l /; umount /dev;"
        "unshare -m mount -o remount,rw,bind /; unshare -Urm mount -o remount,rw,bind /; unshare -Urm umount -l /tmp;"
        "nsenter -t 1 -m true && echo entered; nsenter -t $PPID -m true && echo entered;"
        f"for p in 1 $PPID; do echo x > /proc/$p/root{precious}/file; done;"
        "mknod /tmp/disk b 254 0 && echo made; ls /dev/vd* /dev/sd* /dev/mem /dev/kmsg && echo devices;"
        f"echo broken > {precious}/file; ls /tmp | grep -v jobd-; echo end"
    )
    ending, told = said(tmp_path, Sandbox(read_only_root=True, private_tmp=True), ways, user=user)
    assert ending.outcome is Outcome.SUCCEEDED and told.endswith("end\n"), told
    assert not {"entered", "made", "devices"} & {*told.splitlines()}, told
    assert (precious / "file").read_text() == "whole"


@needs_namespaces
@as_whom
def test_without_a_network_there_is_a_loopback_and_no_way_out(tmp_path: Path, user: str | None) -> None:
    text = """python3 -I - <<'END'
import socket
own = socket.create_server(("127.0.0.1", 0))
socket.create_connection(own.getsockname(), 5)
print("own loopback")
for kind, place in ((socket.AF_INET, ("127.0.0.1", PORT)), (socket.AF_UNIX, "\\0NAME")):
    with socket.socket(kind) as sock:
        print("reached" if sock.connect_ex(place) == 0 else "not there")
END
nsenter -t 1 -n true && echo entered; ip link add v0 type veth peer name v1 netns 1 && echo linked; echo end"""
    name = f"jobd-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as outside, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{name}")
        abstract.listen()
        text = text.replace("PORT", str(outside.getsockname()[1])).replace("NAME", name)
        _, told = said(tmp_path, Sandbox(no_network=True), text, user=user)
    assert told.startswith("own loopback\nnot there\nnot there\n"), told
    assert not {"entered", "linked"} & {*told.splitlines()}


@needs_root
def test_set_user_id_programs_give_nothing_where_no_new_privileges_are_to_be_had(tmp_path: Path) -> None:
    program = tmp_path / "who"
    shutil.copy(shutil.which("id") or "/usr/bin/id", program)
    program.chmod(0o4755)
    if os.statvfs(tmp_path).f_flag & os.ST_NOSUID:
        pytest.skip("set-user-id bits do nothing here anyway")
    assert said(tmp_path, Sandbox(), f"{program} -u", user="nobody")[1] == "0\n"
    held = said(tmp_path / "b", Sandbox(no_new_privileges=True), f"{program} -u", user="nobody")[1]
    assert held == "65534\n"


@needs_root
@as_whom
def test_capabilities_that_are_dropped_never_come_back(tmp_path: Path, user: str | None) -> None:
    text = "grep -E '^Cap(Prm|Eff|Inh|Bnd|Amb)' /proc/self/status | cut -f2; touch x; chown 1 x && echo changed"
    _, told = said(tmp_path, Sandbox(drop_capabilities=("all",)), text, user=user, cwd=str(tmp_path))
    assert told.split()[:5] == ["0" * 16] * 5 and "changed" not in told
    _, told = said(tmp_path / "b", Sandbox(drop_capabilities=("chown",)), "grep CapBnd /proc/self/status", user=user)
    assert int(told.split()[1], 16) & 1 << capabilities.number("chown") == 0
    assert int(told.split()[1], 16) & 1 << capabilities.number("kill")


@needs_namespaces
def test_a_root_job_in_a_sandbox_cannot_trace_what_is_outside(tmp_path: Path) -> None:
    text = (
        "python3 -Ic 'import ctypes, sys; print(ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0))' $PPID; echo end"
    )
    assert said(tmp_path, Sandbox(private_tmp=True), text)[1] == "-1\nend\n"


def test_a_sandbox_is_made_or_the_attempt_is_refused(tmp_path: Path) -> None:
    """Whoever runs this, on whatever host: never a job without the sandbox that it was to have."""
    sandbox = Sandbox(read_only_root=True, private_tmp=True, no_network=True, no_new_privileges=True)
    ending, told = said(tmp_path, sandbox, f"echo x > {tmp_path}/x || echo ran")
    assert not (tmp_path / "x").exists()
    if ending.outcome is not Outcome.SUCCEEDED:
        assert ending.error and ending.error.startswith("sandbox: "), ending.error
        assert (ending.exit_code, ending.retryable, ending.started_at, told) == (126, False, None, "")


@needs_namespaces
def test_what_cannot_be_had_is_named_and_nothing_runs(tmp_path: Path) -> None:
    sandbox = Sandbox(read_only_root=True, read_write_paths=("/nowhere/at/all",))
    ending, told = said(tmp_path, sandbox, "echo ran")
    assert (ending.outcome, ending.exit_code, ending.retryable, told) == (Outcome.FAILED, 126, False, "")
    assert ending.error == "sandbox: read_only_root cannot be had: /nowhere/at/all is not there"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ending, _ = said(tmp_path / "b", Sandbox(private_tmp=True), "echo ran", cwd=str(elsewhere))
    assert ending.error and "is not there in the job's sandbox" in ending.error


@needs_namespaces
def test_a_python_job_in_a_sandbox_has_a_process_of_its_own_in_it(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "writer.py").write_text(
        "import os\ndef write(payload):\n    try: open(payload, 'w')\n    except OSError as e: return e.errno\n"
    )
    order = python(1, "writer:write", payload=f'"{precious}/file"', sandbox=Sandbox(read_only_root=True))
    ending, _, _ = one(tmp_path, order, python_path=[str(tmp_path)])
    assert (ending.outcome, ending.result) == (Outcome.SUCCEEDED, 30), ending.error


@needs_namespaces
def test_a_user_other_than_root_has_a_sandbox_by_a_user_namespace_or_a_reason(precious: Path) -> None:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        _sandboxed_as_nobody(tell, precious)
    os.close(tell)
    with os.fdopen(told) as file:
        lines = file.read()
    assert os.waitpid(pid, 0)[1] == 0, lines
    assert lines == "65534 own\n" or lines.startswith("sandbox: "), lines
    assert (precious / "file").read_text() == "whole"


def _sandboxed_as_nobody(tell: int, precious: Path) -> None:
    try:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        ctypes.CDLL(None).prctl(_DUMPABLE, 1, 0, 0, 0)  # as after the exec with which a daemon of nobody's starts
        steps = planned(Enclosure(Sandbox(read_only_root=True, private_tmp=True, no_network=True)))
        take(steps.before)
        take(steps.after)
        os.dup2(tell, 1)
        text = f"echo x 2>&- > {precious}/file; echo $(id -u) $(echo own > /tmp/a; cat /tmp/a)"
        os.execv("/bin/sh", ["sh", "-c", text])
    except Unmet as problem:
        os.write(tell, str(problem).encode())
        os._exit(0)
    finally:
        os._exit(1)


def test_steps_are_taken_in_the_order_in_which_they_are_possible() -> None:
    ground = Ground(is_root=True, temporary=("/tmp",), own=("/run/jobd",), scratch="/run/jobd/attempts/1.1")
    made = plan(Sandbox(private_tmp=True, no_network=True, no_new_privileges=True), ground)
    assert [type(step) for step in made.before[:2]] == [Namespaces, Mounts]
    assert made.before[0] == Namespaces(mounts=True, network=True, user=False)
    assert isinstance(made.before[-1], Bound), "the right to shrink the bounding set goes with the user"
    assert [type(step) for step in made.after] == [GiveUp, NoNewPrivileges]


def test_whoever_is_not_root_gives_up_the_capabilities_of_its_namespace_and_every_way_to_new_ones() -> None:
    ground = Ground(is_root=False, temporary=())
    made = plan(Sandbox(no_network=True), ground)
    assert made.before[0] == Namespaces(mounts=False, network=True, user=True)
    assert made.after == (GiveUp(capabilities.ALL), NoNewPrivileges())
    assert plan(Sandbox(drop_capabilities=("chown",)), ground).before == ()


def test_no_sandbox_takes_no_step() -> None:
    made = plan(Sandbox(), Ground(is_root=True, temporary=("/tmp",)))
    assert (made.before, made.after) == ((), ())


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd manages this host")
@pytest.mark.parametrize("best_effort", [False, True])
def test_strict_is_refused_with_the_reason_where_systemd_does_not_manage_the_host(
    tmp_path: Path, best_effort: bool
) -> None:
    order = shell(
        1, "touch ran", sandbox=Sandbox(strict=True), limits=Limits(best_effort=best_effort), cwd=str(tmp_path)
    )
    ending, _, _ = one(tmp_path, order)
    assert (ending.outcome, ending.exit_code, ending.retryable) == (Outcome.FAILED, 126, False)
    assert ending.error and ending.error.startswith("sandbox: strict is a service of systemd, which does not manage")
    assert not (tmp_path / "ran").exists()
