"""A job has the bounds it asks for, or does not run."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

import pytest

from jobd.core.model import UNLIMITED, Limits
from jobd.core.states import Outcome
from tests.work.harness import floor, python, shell
from tests.work.test_children import needs_root, one, open_up

BEYOND_ANY_KERNEL = Limits(files=1_073_741_816)


def test_every_limit_of_a_process_is_in_force_when_the_job_starts(tmp_path: Path) -> None:
    text = "ulimit -n; ulimit -Hn; ulimit -f; ulimit -c; ulimit -t; ulimit -Ht"
    limits = Limits(files=64, file_size=8192, core=0, cpu_time=90.5)
    ending, out, err = one(tmp_path, shell(1, text, limits=limits))
    assert (ending.outcome, ending.error, err) == (Outcome.SUCCEEDED, None, b"")
    assert out.split() == [b"64", b"64", b"16", b"0", b"91", b"96"]


@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=needs_root)])
def test_niceness_io_class_and_oom_score_are_what_the_job_says(tmp_path: Path, user: str | None) -> None:
    open_up(tmp_path)
    text = "nice; ionice -p $$; cat /proc/self/oom_score_adj; umask"
    values = {"nice": 5, "ionice": "best-effort:6", "oom_score_adjust": 300, "umask": 0o027, "user": user}
    _, out, err = one(tmp_path, shell(1, text, **values))
    assert (out.decode().splitlines(), err) == (["5", "best-effort: prio 6", "300", "0027"], b"")


def test_the_idle_io_class_can_be_had(tmp_path: Path) -> None:
    _, out, _ = one(tmp_path, shell(1, "ionice -p $$", ionice="idle"))
    assert out.strip() == b"idle"


def test_a_limit_that_cannot_be_applied_refuses_the_attempt(tmp_path: Path) -> None:
    ending, out, _ = one(tmp_path, shell(1, "echo ran", limits=BEYOND_ANY_KERNEL))
    assert (ending.outcome, ending.exit_code, ending.retryable, ending.spent) == (Outcome.FAILED, 126, False, True)
    assert ending.error and ending.error.startswith("limits.files: 1073741816 cannot be applied: ")
    assert "best_effort: true" in ending.error
    assert (ending.started_at, out) == (None, b"")


def test_best_effort_runs_without_what_cannot_be_applied_and_says_so(tmp_path: Path) -> None:
    limits = Limits(files=BEYOND_ANY_KERNEL.files, core=0, best_effort=True)
    ending, out, _ = one(tmp_path, shell(1, "ulimit -c", limits=limits))
    assert (ending.outcome, out) == (Outcome.SUCCEEDED, b"0\n")
    assert ending.error and ending.error.startswith("limits.files: 1073741816 cannot be applied: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_without_root_a_niceness_below_zero_refuses_the_attempt(tmp_path: Path) -> None:
    ending, _, _ = one(tmp_path, shell(1, "true", nice=-5))
    assert ending.error and ending.error.startswith("nice: -5 cannot be applied: ")


def test_a_file_that_grows_too_large_names_the_limit(tmp_path: Path) -> None:
    order = shell(1, "exec head -c 100000 /dev/zero > big", cwd=str(tmp_path), limits=Limits(file_size=4096))
    ending, _, _ = one(tmp_path, order)
    assert ending.outcome is Outcome.KILLED and ending.error and "limits.file_size" in ending.error
    assert (tmp_path / "big").stat().st_size == 4096


@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=needs_root)])
def test_b24_a_file_has_a_bound_where_nothing_is_said_and_none_where_that_is_said(
    tmp_path: Path, user: str | None
) -> None:
    open_up(tmp_path)
    text = "ulimit -f; ulimit -f unlimited; ulimit -f"
    _, out, _ = one(tmp_path / "a", shell(1, text, user=user, cwd="/"))
    assert out.split() == [b"2097152", b"unlimited"], "1 GiB, in blocks of 512"
    _, out, _ = one(tmp_path / "b", shell(1, "ulimit -f", user=user, cwd="/", limits=Limits(file_size=UNLIMITED)))
    assert out == b"unlimited\n"
    _, out, _ = one(tmp_path / "c", shell(1, "ulimit -f", user=user, cwd="/", limits=Limits(core=0)))
    assert out == b"2097152\n"


@pytest.mark.parametrize("isolate", [False, True])
def test_b24_a_callable_has_the_usual_bound_too_and_its_worker_does_not_keep_it(tmp_path: Path, isolate: bool) -> None:
    (tmp_path / "bounded.py").write_text(
        "import resource\ndef size(payload):\n    return resource.getrlimit(resource.RLIMIT_FSIZE)[0]\n"
    )

    async def scenario() -> None:
        async with floor(tmp_path, python_path=[str(tmp_path)], max_workers=1) as hall:
            (ending,) = await hall.run(python(1, "bounded:size", isolate=isolate))
            assert ending.result == 1 << 30, ending
            (worker,) = [view.pid for view in hall.pool.views()]
            assert resource.prlimit(worker, resource.RLIMIT_FSIZE) == resource.getrlimit(resource.RLIMIT_FSIZE)

    asyncio.run(scenario())


def test_b24_a_file_beyond_the_usual_bound_names_the_limit(tmp_path: Path) -> None:
    """Sparse: the disk of the test is left alone."""
    order = shell(1, "exec dd if=/dev/zero of=big bs=1 count=1 seek=1073741824", cwd=str(tmp_path))
    ending, _, _ = one(tmp_path, order)
    assert ending.outcome is Outcome.KILLED and ending.error and "limits: {file_size: 20GiB}" in ending.error
    assert (tmp_path / "big").stat().st_size <= 1 << 30


def test_cpu_time_beyond_its_limit_names_the_limit(tmp_path: Path) -> None:
    ending, _, _ = one(tmp_path, shell(1, "while :; do :; done", limits=Limits(cpu_time=1.0)))
    assert ending.outcome is Outcome.KILLED and ending.error and "limits.cpu_time" in ending.error


def test_a_python_job_with_limits_has_a_process_of_its_own_to_bear_them(tmp_path: Path) -> None:
    (tmp_path / "limited.py").write_text(
        "import resource\ndef files(payload):\n    return resource.getrlimit(resource.RLIMIT_NOFILE)\n"
    )
    order = python(1, "limited:files", limits=Limits(files=99))
    ending, _, _ = one(tmp_path, order, python_path=[str(tmp_path)])
    assert (ending.outcome, ending.result) == (Outcome.SUCCEEDED, [99, 99])


def test_what_an_attempt_did_with_disk_and_processor_is_accounted(tmp_path: Path) -> None:
    text = "sleep 0.01; dd if=/dev/zero of=big bs=1M count=2 conv=fsync 2>/dev/null; sleep 0.01"
    ending, _, _ = one(tmp_path, shell(1, text, cwd=str(tmp_path)))
    assert ending.usage.context_switches > 0
    # A file system in memory writes to no disk.
    assert ending.usage.io_written_bytes == 0 or ending.usage.io_written_bytes >= 2 << 20
