-- The statements of runs.py, each with a sentence. `-- name:` begins one.

-- name: unfinished_of
-- The runs of a job that wait, or run and are not being ended, at most so many.
SELECT id FROM run INDEXED BY run_active
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying') AND cancelling = 0 LIMIT :most;

-- name: carry_circuits
-- Let cooldowns last as long as they were to, over a wall clock that was set.
UPDATE job SET circuit_until = circuit_until + :stepped WHERE circuit_until IS NOT NULL;

-- name: carry_retries
-- Let waits between attempts last as long as they were to, over a wall clock that was set.
UPDATE run SET run_at = run_at + :stepped WHERE state = 'retrying';

-- name: carry_buckets
-- Let buckets have filled for as long as they did, over a wall clock that was set.
UPDATE bucket SET at = at + :stepped;

-- name: carry_expiring
-- Let runs that must start in time have as long as they had, over a wall clock that was set. The time of one whose
-- instant has yet to come, or that waits for others, begins with that: it was not used up, and is all there.
UPDATE run SET expires_at = expires_at + iif(state = 'scheduled', max(:now - run_at, 0), :stepped)
WHERE expires_at IS NOT NULL
  AND (state IN ('scheduled', 'queued', 'retrying') OR (state = 'blocked' AND slot IS NOT NULL));

-- name: carry_running
-- Let runs that are under way have begun as long ago as they did, over a wall clock that was set.
UPDATE run SET started_at = started_at + :stepped WHERE state = 'running';

-- name: carry_attempts
-- The same for their attempts.
UPDATE attempt SET reserved_at = reserved_at + :stepped, started_at = started_at + :stepped
WHERE outcome IS NULL AND (run, attempt) IN (SELECT id, attempt FROM run INDEXED BY run_running WHERE state = 'running');

-- name: carry_deadlines
-- The same for the time that all attempts of a run have together.
UPDATE run INDEXED BY run_deadline SET deadline = deadline + :stepped
WHERE deadline IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'retrying');

-- name: buckets
-- Every bucket that was ever used.
SELECT name, tokens, at FROM bucket;

-- name: note_child
-- Remember the process of an attempt that is still under way.
UPDATE attempt SET started_at = :started_at, child_pid = :pid, child_ticks = :ticks
WHERE run = :run AND attempt = :attempt AND outcome IS NULL;

-- name: under_way
-- The run of an attempt, as long as that attempt is the one under way.
SELECT run.job, job.name, run.spec, run.queue, run.trigger, run.max_attempts, run.attempt - run.given_back,
       run.cancelling, run.started_at, job.spec, run.deadline
FROM run JOIN job ON job.id = run.job
WHERE run.id = :run AND run.attempt = :attempt AND run.state = 'running';

-- name: close_attempt
-- Write down how an attempt ended, once.
UPDATE attempt SET started_at = coalesce(:started_at, started_at), finished_at = :finished_at, outcome = :outcome,
  exit_code = :exit_code, signal = :signal, error = :error, cpu_user = :cpu_user, cpu_system = :cpu_system,
  peak_memory = :peak_memory, stdout_bytes = :stdout_bytes, stderr_bytes = :stderr_bytes,
  output_cut = :output_cut, leftovers = :leftovers, snapshot = :snapshot,
  progress = :progress, status_text = :status_text, io_read = :io_read, io_written = :io_written,
  context_switches = :context_switches
WHERE run = :run AND attempt = :attempt AND outcome IS NULL;

-- name: end_run
-- Give a running run its final state; a run that another attempt took over is left alone.
UPDATE run SET state = :state, started_at = coalesce(:started_at, started_at), finished_at = :finished_at,
  outcome = :outcome, exit_code = :exit_code, error = :error, cancelling = 0
WHERE id = :run AND attempt = :attempt AND state = 'running';

-- name: rerun
-- Let a running run wait for another attempt; `given_back` is 1 where this one does not count. What has started once
-- does not expire any more.
UPDATE run SET state = :state, expires_at = iif(:started, NULL, expires_at), run_at = :run_at, given_back = given_back + :given_back,
  outcome = :outcome, exit_code = :exit_code, error = :error,
  lane = (SELECT iif(job.lane >= 0 OR trial = run.id, coalesce(run.own_lane, open_lane), job.lane) FROM job WHERE job.id = run.job)
WHERE id = :run AND attempt = :attempt AND state = 'running';

-- name: keep_result
-- Keep what a run gave back.
INSERT INTO run_data (run, result) VALUES (:run, :result) ON CONFLICT (run) DO UPDATE SET result = excluded.result;

-- name: note_last
-- Remember how the latest run of a job ended. An end that lies ahead was noted before the clock was set back.
UPDATE job SET ended_at = max(min(:finished_at, :now), iif(ended_at <= :now, ended_at, 0)), last_run = :run, last_state = :state, last_outcome = :outcome, last_exit_code = :exit_code,
  last_finished_at = :finished_at,
  last_success_at = iif(:state = 'succeeded', :finished_at, last_success_at),
  last_failure_at = iif(:state = 'failed', :finished_at, last_failure_at)
WHERE id = :job;

-- name: cancel_waiting
-- End a run that waits; what already runs is left alone.
UPDATE run SET state = 'cancelled', finished_at = :now, outcome = 'cancelled', error = :error
WHERE id = :run AND state IN ('blocked', 'scheduled', 'queued', 'retrying')
RETURNING job, (SELECT name FROM job AS named WHERE named.id = run.job), queue;

-- name: cancel_running
-- Remember that a running run is to be ended.
UPDATE run SET cancelling = 1, error = :error WHERE id = :run AND state = 'running' AND cancelling = 0 RETURNING attempt;

-- name: retry_run
-- Queue a run again that ended failed or cancelled, with one attempt more if none is left; it still waits for parents
-- that have not ended. Where another run holds its unique key by now, it stays as it is.
UPDATE run SET run_at = :now, finished_at = NULL, cancelling = 0, expires_at = NULL, deadline = NULL, renewed_at = :now,
  lane = (SELECT iif(job.lane >= 0, coalesce(run.own_lane, job.lane), job.lane) FROM job WHERE job.id = run.job),
  state = iif(EXISTS (SELECT 1 FROM edge INDEXED BY edge_of_child CROSS JOIN run AS parent ON parent.id = edge.parent
                      WHERE edge.child = run.id AND edge.decision IS NOT 'waived' AND parent.finished_at IS NULL),
              'blocked', 'queued'),
  max_attempts = max(max_attempts, attempt - given_back + 1)
WHERE id = :run AND state IN ('failed', 'cancelled')
  AND NOT EXISTS (
    SELECT 1 FROM run AS other INDEXED BY run_unique WHERE other.unique_key = run.unique_key AND other.id <> run.id
      AND (other.unique_until IS NOT NULL OR other.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')))
RETURNING state;

-- name: state_of
-- The state and the owner of a run.
SELECT state, owner FROM run WHERE id = :run;

-- name: attempts
-- Every attempt of a run, first to last.
SELECT run, attempt, reserved_at, started_at, finished_at, outcome, exit_code, signal, error, worker_pid, child_pid,
       snapshot, progress, status_text, cpu_user, cpu_system, peak_memory, stdout_bytes, stderr_bytes, output_cut,
       leftovers, coalesce(io_read, 0), coalesce(io_written, 0), coalesce(context_switches, 0)
FROM attempt WHERE run = :run ORDER BY attempt;

-- name: ref_of_run
-- The job of a run, and the definition it was accepted under.
SELECT job, spec FROM run WHERE id = :run;

-- name: jobs_named
-- The jobs whose names are like a pattern, in force or not.
SELECT id, name FROM job WHERE name GLOB :pattern;

-- name: redefine_waiting
-- Let the runs of a job that wait go by another definition.
UPDATE run INDEXED BY run_active SET spec = :spec
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
  AND state IN ('scheduled', 'queued', 'retrying') AND spec <> :spec;

-- name: skip_run
-- End a run that was accepted and is not to be executed.
UPDATE run SET state = 'skipped', finished_at = :now, error = :error
WHERE id = :run AND state IN ('blocked', 'scheduled', 'queued')
RETURNING (SELECT name FROM job AS named WHERE named.id = run.job), queue;
