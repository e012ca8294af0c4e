"""A long past for a store: ended runs by the million, as if the jobs that are defined had been run for a month."""

from __future__ import annotations

from pathlib import Path

import apsw

_PAST = """
BEGIN;
CREATE TEMP TABLE known AS SELECT row_number() OVER (ORDER BY id) - 1 AS place, id, spec, lane FROM job
  WHERE id > 0 AND spec IS NOT NULL;
CREATE TEMP TABLE number AS WITH RECURSIVE count (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM count LIMIT :runs)
  SELECT value FROM count;
CREATE TEMP TABLE span AS SELECT (SELECT coalesce(max(id), 0) FROM run) AS first, (SELECT count(*) FROM known) AS jobs,
  CAST(unixepoch() AS INTEGER) * 1000000 AS now, 30 * 86400000000 / :runs AS apart;
INSERT INTO run (id, job, spec, lane, queue, priority, state, run_at, created_at, started_at, finished_at, attempt,
                 max_attempts, trigger, slot, outcome, exit_code)
SELECT span.first + value, known.id, known.spec, known.lane, 'default', 0, iif(value % 20, 'succeeded', 'failed'),
       at, at, at + 5000, at + 5000 + value % 1000 * 10000, 1, 1, 'schedule', at,
       iif(value % 20, 'succeeded', 'failed'), iif(value % 20, 0, 1)
FROM (SELECT value, span.now - (:runs - value + 1) * span.apart AS at FROM number, span), span
JOIN known ON known.place = value % span.jobs;
INSERT INTO attempt (run, attempt, reserved_at, started_at, finished_at, boot_id, worker_pid, worker_ticks, outcome,
                     exit_code, cpu_user, cpu_system, peak_memory, stdout_bytes, stderr_bytes, output_cut, leftovers)
SELECT run.id, 1, run.created_at, run.started_at, run.finished_at, 'earlier', 1, 1, run.outcome, run.exit_code,
       0.01, 0.01, 4194304, 100, 0, 0, 0 FROM run, span WHERE run.id > span.first;
INSERT OR IGNORE INTO slot (job, at, disposition, run) SELECT job, slot, 'started', id FROM run, span
WHERE run.id > span.first;
DELETE FROM tally;
INSERT INTO tally (job, queue, state, runs) SELECT job, queue, state, count(*) FROM run GROUP BY job, queue, state;
DELETE FROM finished;
INSERT INTO finished (queue, state, bucket, runs, seconds)
SELECT queue, state, finished_at / 300000000, count(*), coalesce(sum(finished_at - started_at) / 1e6, 0.0)
FROM run WHERE finished_at IS NOT NULL GROUP BY 1, 2, 3;
UPDATE job SET last_run = done.id, last_state = done.state, last_outcome = done.outcome,
  last_exit_code = done.exit_code,
  last_finished_at = done.finished_at, last_success_at = done.finished_at, last_failure_at = done.finished_at - 1
FROM (SELECT job, max(id) AS id, state, outcome, exit_code, finished_at FROM run GROUP BY job) AS done
WHERE done.job = job.id AND job.id > 0;
COMMIT;
"""


def fill(database: Path, runs: int) -> None:
    """Give the jobs of a store that no daemon has open so many ended runs, evenly over a month up to now."""
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
    connection.execute(_PAST, {"runs": runs})
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
