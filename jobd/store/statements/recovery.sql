-- The statements of recovery.py, each with a sentence. `-- name:` begins one.

-- name: left_running
-- Every attempt that was under way when the last supervisor ended.
SELECT run.id, run.attempt, job.name, run.spec, run.timeout, run.cancelling, run.trigger,
       attempt.boot_id, attempt.worker_pid, attempt.worker_ticks, attempt.child_pid, attempt.child_ticks,
       coalesce(attempt.started_at, attempt.reserved_at), run.deadline
FROM run JOIN job ON job.id = run.job JOIN attempt ON attempt.run = run.id AND attempt.attempt = run.attempt
WHERE run.state = 'running';
