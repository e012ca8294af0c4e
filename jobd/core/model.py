"""The values that travel through jobd: jobs, requests for runs, attempts and how they ended.

Everything here is frozen and plain, so that a value can be kept, compared, sent to a worker or written as JSON.
Spans are seconds (float), sizes are bytes, instants are aware datetimes in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from jobd.core.buckets import Rate
from jobd.core.states import Condition, Outcome, Trigger
from jobd.core.trace import Trace

Json = Any
"""What `json.dumps(..., allow_nan=False)` writes: None, bool, int, float, str, list, dict with string keys."""


@dataclass(frozen=True, slots=True)
class Command:
    """An argument vector that is executed as it stands: no shell, no splitting, no globbing."""

    kind: ClassVar[str] = "command"
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shell:
    """A text for `/bin/sh -c`."""

    kind: ClassVar[str] = "shell"
    text: str


@dataclass(frozen=True, slots=True)
class Python:
    """A callable `package.module:function`, called with the payload."""

    kind: ClassVar[str] = "python"
    target: str


@dataclass(frozen=True, slots=True)
class Call:
    """Work of any other kind: its executor is called with these options, inside a worker."""

    kind: str
    options: Json
    """What the executor made of the words in the definition, when it was loaded."""


Action = Command | Shell | Python | Call


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is followed by another one (SEMANTICS, Retry)."""

    strategy: Literal["none", "fixed", "exponential"] = "exponential"
    max_attempts: int | None = None
    """All attempts counted; None leaves it to the trigger: 1 for scheduled runs, 3 for submitted ones."""
    base_seconds: float = 10.0
    multiplier: float = 2.0
    max_delay_seconds: float = 3600.0
    jitter: float = 0.1


Days = tuple[str, str]
"""The first and the last of some days, as `2026-12-25`."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days, by a name; a job that excludes it rests on them."""

    name: str
    days: tuple[Days, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job is due: its expressions, the zone they are read in, and what is done about slots that cannot be had.

    `expressions` are texts that `jobd.core.schedule.parse` accepts; `timezone` None is the host's zone.
    """

    expressions: tuple[str, ...] = ()
    timezone: str | None = None
    dst_gap: Literal["run", "skip", "shift"] | None = None
    dst_overlap: Literal["first", "second", "both"] | None = None
    day_match: Literal["or", "and"] = "or"
    jitter_seconds: float = 0.0
    """Instants of the clock come up to so much later, each job by a span of its own."""
    exclude: tuple[Calendar, ...] = ()
    """Calendars, with their days as they were when the job was loaded."""
    start_deadline_seconds: float | None = None
    """A run that has not started so long after its slot never starts."""
    catch_up: Literal["skip", "latest", "all"] = "latest"
    catch_up_window_seconds: float = 3600.0
    max_catch_up: int = 100
    overlap: Literal["skip", "queue", "replace", "allow"] = "skip"


@dataclass(frozen=True, slots=True)
class Workflow:
    """The jobs whose runs come with a run of this one, by name. Falsy where there are none."""

    then: tuple[str, ...] = ()
    catch: tuple[str, ...] = ()
    finally_: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    """One after the other: the first once this one has succeeded, each next one after the one before."""
    needs: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.then or self.catch or self.finally_ or self.chain or self.needs)


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """After so many final failures in a row the job is kept back for so long, and then has one trial."""

    failures: int
    cooldown_seconds: float


UNLIMITED = -1
"""As a limit: there is none, where else there would be a usual one."""


@dataclass(frozen=True, slots=True)
class Expect:
    """What a job is expected to keep, in seconds; where it does not, it is late. None expects nothing."""

    max_time_since_success: float | None = None
    """From one success to the next."""
    late_after: float | None = None
    """From when a run is due to its start."""
    max_runtime: float | None = None
    """From the start of an attempt to its end; nothing is ended for it."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Which occasions of a job somebody is told of, and through which channels."""

    on: tuple[str, ...]
    """Words of core.notices.Occasion."""
    via: tuple[str, ...]
    repeat_after_seconds: float = 3600.0
    """What goes on is told of again after so long, where it happens again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the processes of an attempt may take; None is no limit of the job's own."""

    files: int | None = None
    """Open descriptors of one process."""
    file_size: int | None = None
    """Bytes of one file; UNLIMITED takes the usual limit away."""
    core: int | None = None
    """Bytes of a core dump; 0 is none."""
    cpu_time: float | None = None
    """Seconds of CPU time of one process."""
    best_effort: bool = False
    """Run without what cannot be applied, instead of not at all."""
    memory: int | None = None
    """Bytes of memory of all processes together, without any swap."""
    cpu: float | None = None
    """CPUs that all processes have together: 0.5 is half of one."""
    tasks: int | None = None
    """Processes and threads at once."""
    io: int | None = None
    """The weight of their I/O beside that of others, 1 to 10000; 100 is usual."""


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What the processes of an attempt are kept from. Falsy where it is nothing."""

    no_new_privileges: bool = False
    private_tmp: bool = False
    """The directories for temporary files and shared memory are its own, empty at the start and gone at the end."""
    read_only_root: bool = False
    """Nothing can be written but its own directory and `read_write_paths`; no devices but the harmless ones."""
    read_write_paths: tuple[str, ...] = ()
    no_network: bool = False
    """No network but a loopback of its own."""
    drop_capabilities: tuple[str, ...] = ()
    """Names as in core.capabilities, or `all`."""
    strict: bool = False
    """The attempt is a service of the host's systemd, with all that core.hardening lists."""

    def __bool__(self) -> bool:
        return self != NO_SANDBOX


NO_SANDBOX = Sandbox()


@dataclass(frozen=True, slots=True)
class Unique:
    """What must not be there twice, and what is done with the second one (SEMANTICS, Unique runs)."""

    fields: tuple[str, ...] | None = None
    """The fields of the payload that count; None is all of it."""
    text: str | None = None
    """A key of the client's, in place of the payload."""
    period_seconds: float | None = None
    states: Literal["active", "all"] = "active"
    """How long the key holds: until the run is final, or through the period whatever becomes of it."""
    on_conflict: Literal["keep", "replace", "error"] = "keep"


@dataclass(frozen=True, slots=True)
class Job:
    """A named definition: what to run, when, and under which limits."""

    name: str
    action: Action
    description: str = ""
    enabled: bool = True
    tags: tuple[str, ...] = ()
    owner: str | None = None
    schedule: Schedule = field(default_factory=Schedule)
    queue: str = "default"
    priority: int = 0
    max_running: int | None = None
    rate_limit: Rate | None = None
    uses: tuple[tuple[str, int], ...] = ()
    """What each run takes of counted resources while it runs: (name, how much), by name."""
    expires_seconds: float | None = None
    """A run that has not started so long after it might have never starts."""
    unique: Unique | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    success_exit_status: tuple[int, ...] = (0,)
    retry_exit_status: tuple[int, ...] | None = None
    no_retry_exit_status: tuple[int, ...] = ()
    circuit_breaker: CircuitBreaker | None = None
    on_lost: Literal["retry", "fail"] | None = None
    """None leaves it to the trigger: retry for submitted runs, fail for scheduled ones."""
    dead_letter: bool = True
    """A run that failed for good is kept as a dead letter until somebody acts on it."""
    timeout_seconds: float = 3600.0
    """0 is no timeout."""
    total_timeout_seconds: float = 0.0
    """Spans all attempts of a run, from the start of the first; 0 is no end."""
    kill_after_seconds: float = 10.0
    watchdog_seconds: float = 0.0
    """An attempt that gives no sign of life for so long is ended; 0 waits for none."""
    user: str | None = None
    group: str | None = None
    cwd: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    env_files: tuple[str, ...] = ()
    """Absolute paths, read at each attempt; one with a `-` before it may be missing. They override `env`."""
    secrets: tuple[tuple[str, str], ...] = ()
    """(name, absolute path or `credential:NAME`): files an attempt finds in its CREDENTIALS_DIRECTORY."""
    umask: int = 0o022
    nice: int = 0
    ionice: str | None = None
    """`idle`, `best-effort:0` to `7` or `realtime:0` to `7`."""
    oom_score_adjust: int | None = None
    limits: Limits = NO_LIMITS
    sandbox: Sandbox = NO_SANDBOX
    stdin: str | None = None
    isolate: bool = False
    allow_background: bool = False
    on_shutdown: Literal["wait", "stop", "requeue", "detach"] | None = None
    """None leaves it to the trigger: requeue for submitted runs, wait for scheduled ones."""
    payload: Json = None
    payload_schema: Json = None
    """JSON Schema (2020-12) that payloads must satisfy; None is any payload."""
    output_max_bytes: int = 1024 * 1024
    output_on_limit: Literal["truncate", "kill"] = "truncate"
    output_journal: bool = False
    """What it writes goes to the journal too."""
    workflow: Workflow = field(default_factory=Workflow)
    expect: Expect | None = None
    notify: Notify | None = None

    @property
    def running_limit(self) -> int | None:
        """How many runs of the job may be under way at once.

        A slot that waits for the last run implies one; one that replaces it starts only when that is gone.
        """
        overlap = self.schedule.overlap if self.schedule.expressions else None
        if overlap == "replace" or (overlap == "queue" and self.max_running is None):
            return 1
        return self.max_running

    @property
    def has_limits(self) -> bool:
        """Whether runs of the job may have to wait while others of their queue need not."""
        return bool(self.running_limit is not None or self.rate_limit or self.uses)


@dataclass(frozen=True, slots=True)
class Dependency:
    """A run that is there already, and how it has to end."""

    run: int
    on: Condition = Condition.SUCCESS


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run that somebody or some schedule asks for, checked and complete: ready to be written."""

    job: Job
    trigger: Trigger
    payload: Json = None
    queue: str = "default"
    priority: int = 0
    run_at: datetime | None = None
    """None is at once."""
    slot: datetime | None = None
    key: str | None = None
    """The client's idempotency key; holds for 24 h, and as long as its run is not final."""
    unique: Unique | None = None
    max_attempts: int = 1
    timeout_seconds: float | None = None
    """Overrides the job's own timeout."""
    expires_seconds: float | None = None
    """Overrides the job's own."""
    owner: str | None = None
    """The user name (or uid as text) of the submitter; None for a schedule."""
    adhoc: bool = False
    uses: tuple[tuple[str, int], ...] | None = None
    """In place of the job's own."""
    depends_on: tuple[Dependency, ...] = ()
    parent: int | None = None
    """The first of the runs that this one waits for; None where it waits for none."""
    trace: Trace | None = None
    """The trace that its submitter, or the run that brings it along, is part of."""

    def expires_at(self, now: datetime) -> datetime | None:
        """When the run is too late to start, if it is accepted `now`; None if it never is."""
        ends = []
        span = self.job.expires_seconds if self.expires_seconds is None else self.expires_seconds
        if span is not None:
            ends.append(max(now, self.run_at or now) + timedelta(seconds=span))
        deadline = self.job.schedule.start_deadline_seconds
        if deadline is not None and self.slot is not None:
            ends.append(self.slot + timedelta(seconds=deadline))
        return min(ends, default=None)


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """Names one attempt for ever: the run's id and the attempt's number, from 1."""

    run: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.run}.{self.attempt}"


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that cannot be confused with a later one of the same pid (SEMANTICS, Lost attempts)."""

    boot_id: str
    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: clock ticks after boot."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt used, its descendants that were waited for included."""

    cpu_user_seconds: float = 0.0
    cpu_system_seconds: float = 0.0
    peak_memory_bytes: int = 0
    stdout_bytes: int = 0
    """Bytes written, whether or not all of them were kept."""
    stderr_bytes: int = 0
    output_cut: bool = False
    leftovers: int = 0
    """Processes that outlived the attempt's leader and were ended with it."""
    io_read_bytes: int = 0
    """From disks; what was in memory already does not count."""
    io_written_bytes: int = 0
    context_switches: int = 0


@dataclass(frozen=True, slots=True)
class Directive:
    """What the job itself said about its run: a Python verdict, or the `jobd` object of a result file."""

    kind: Literal["retry", "snooze", "cancel", "discard"]
    delay_seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as /proc showed it."""

    pid: int
    parent: int
    name: str
    state: str
    """One letter: R runs, S sleeps, D waits uninterruptibly, T is stopped, Z is dead (proc(5))."""
    wchan: str
    """The function of the kernel it waits in, where the kernel tells."""
    command: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt ended, as its worker (or whoever judged for it) saw it."""

    outcome: Outcome
    started_at: datetime | None = None
    """When the child was started; None if it never was."""
    finished_at: datetime | None = None
    exit_code: int | None = None
    """The exit status; 128+n for signal n, 124 for a timeout, 126/127 for what could not be executed."""
    signal: int | None = None
    error: str | None = None
    """One line for people: the exception, the spawn error, the reason of a kill."""
    retryable: bool = True
    """False where trying again cannot help: not executable, an unusable definition."""
    spent: bool = True
    """False gives the attempt back: it never started, or was interrupted by a shutdown."""
    directive: Directive | None = None
    result: Json = None
    usage: Usage = field(default_factory=Usage)
    snapshot: tuple[Seen, ...] = ()
    """Its processes at the moment SIGKILL was due; none where it never was."""
    progress: float | None = None
    """What the attempt last said of how far it is (0 to 1)."""
    status_text: str = ""
    """What it last said of what it does."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The report of one attempt: which, and how it ended."""

    key: AttemptKey
    ending: Ending
