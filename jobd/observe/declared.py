"""Every metric of jobd: its name, kind, labels, sentence and buckets. Manual, page and tests read this list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


_SUFFIX = {Kind.COUNTER: "_total", Kind.INFO: "_info"}


@dataclass(frozen=True, slots=True)
class Metric:
    stem: str
    """The name without what its kind adds."""
    kind: Kind
    text: str
    """Plain ASCII without quotes or backslashes: it is the same in every format."""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets of a histogram, which has one more without end."""

    @property
    def name(self) -> str:
        """The name of its samples; those of a histogram have suffixes of their own."""
        return self.stem + _SUFFIX.get(self.kind, "")


_RUN_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0)
_COMMIT_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
_GROUP_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


def _counter(stem: str, text: str, *labels: str) -> Metric:
    return Metric(stem, Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, text, labels)


def _histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, text, labels, bounds)


BUILD = Metric("jobd_build", Kind.INFO, "What is running", ("version", "python"))

# Counted as it happens, from the start of the daemon on.
RUNS_SUBMITTED = _counter("jobd_runs_submitted", "Runs accepted", "queue")
RUNS_FINISHED = _counter("jobd_runs_finished", "Runs that are final", "job_name", "queue", "outcome")
ATTEMPTS = _counter("jobd_attempts", "Attempts that ended", "job_name", "queue", "outcome")
RUNS_RETRIED = _counter("jobd_runs_retried", "Attempts followed by another one", "queue")
LEFTOVERS = _counter("jobd_leftover_processes", "Processes that attempts left behind and that were ended")
SLOTS = _counter("jobd_slots", "Due slots by what became of them", "disposition")
RESCUED = _counter("jobd_rescued_attempts", "Attempts that outlived a daemon", "how")
CLOCK_STEPS = _counter("jobd_clock_steps", "Times the wall clock was set while jobd ran")
SINK_EVENTS = _counter("jobd_sink_events", "Events for sinks by what became of them", "sink", "result")
RUN_DURATION = _histogram("jobd_run_duration_seconds", "Run times", _RUN_SECONDS, "queue")
RUN_WAIT = _histogram("jobd_run_wait_seconds", "Waits for a worker", _RUN_SECONDS, "queue")
SCHEDULER_LAG = _histogram("jobd_scheduler_lag_seconds", "Delay of slots after they were due", _LAG_SECONDS)
STORE_COMMIT = _histogram("jobd_store_commit_seconds", "Time a commit takes", _COMMIT_SECONDS)
STORE_GROUP = _histogram("jobd_store_group_size", "Changes in one commit", _GROUP_SIZES)

# Read when somebody asks.
START_TIME = _gauge("jobd_start_time_seconds", "When this jobd was started")
RELOAD_OK = _gauge("jobd_config_last_reload_successful", "Whether the last reload had no problem")
RELOAD_AT = _gauge(
    "jobd_config_last_reload_success_timestamp_seconds", "When definitions were last read without a problem"
)
DEFINITION_ERRORS = _gauge("jobd_definition_errors", "Problems of definitions not in force")
JOBS = _gauge("jobd_jobs", "Defined jobs", "state")
QUEUE_DEPTH = _gauge("jobd_queue_depth", "Runs that wait or execute", "queue", "state")
QUEUE_OLDEST = _gauge("jobd_queue_oldest_seconds", "Age of the longest waiting run", "queue")
DEAD_LETTERS = _gauge("jobd_dead_letters", "Runs that failed for good and wait for somebody", "queue")
QUEUE_LIMIT = _gauge("jobd_queue_limit", "Runs that may execute at once", "queue")
RATE_TOKENS = _gauge("jobd_rate_limit_tokens", "Runs that the rate limit lets start now", "queue")
JOB_SUCCESS = _gauge("jobd_job_last_success_timestamp_seconds", "When a run of the job last succeeded", "job_name")
JOB_FAILURE = _gauge(
    "jobd_job_last_failure_timestamp_seconds", "When a run of the job last failed for good", "job_name"
)
JOB_NEXT = _gauge("jobd_job_next_run_timestamp_seconds", "When the job is next due", "job_name")
JOB_EXIT_CODE = _gauge("jobd_job_last_run_exit_code", "Exit code of the last finished run of the job", "job_name")
JOB_RUNNING = _gauge("jobd_job_running", "Runs of the job that execute now", "job_name")
JOB_PAUSED = _gauge("jobd_job_paused", "Whether the job is paused", "job_name")
JOB_LATE = _gauge("jobd_job_late", "Whether the job fails the check of expect", "job_name", "check")
WORKERS = _gauge("jobd_workers", "Workers by what they do", "state")
STORE_SIZE = _gauge("jobd_store_size_bytes", "Size of the database file")
STORE_WAL = _gauge("jobd_store_wal_bytes", "Size of the write-ahead log of the database")

DISK_FREE = _gauge("jobd_store_disk_free_bytes", "What jobd can still write to the disk of the database")
DISK_SIZE = _gauge("jobd_store_disk_size_bytes", "Size of the disk of the database")

METRICS = tuple(one for one in list(globals().values()) if isinstance(one, Metric))
