-- The statements of holds.py, each with a sentence. `-- name:` begins one.

-- name: held_job
-- What keeps a job back, and the slots that are skipped ahead.
SELECT paused, paused_at, paused_until, paused_by, paused_note, failures, circuit_until,
       (SELECT run.id FROM run WHERE run.id = job.trial
          AND run.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')),
       (SELECT json_group_object(at, reason) FROM slot
        WHERE slot.job = job.id AND at > watermark AND disposition = 'skipped' AND reason LIKE 'skip_next%')
FROM job WHERE id = :job;

-- name: holds
-- What keeps jobs back, of all in force.
SELECT name, paused, paused_at, paused_until, paused_by, paused_note, failures, circuit_until,
       (SELECT run.id FROM run WHERE run.id = job.trial
          AND run.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')),
       (SELECT json_group_object(at, reason) FROM slot
        WHERE slot.job = job.id AND at > watermark AND disposition = 'skipped' AND reason LIKE 'skip_next%')
FROM job WHERE removed_at IS NULL AND id > 0 AND (:name IS NULL OR name = :name);

-- name: paused_queues
-- The pauses of queues, in force or over.
SELECT name, paused, paused_at, paused_until, paused_by, paused_note FROM queue WHERE paused_at IS NOT NULL;

-- name: queues_paused_now
-- The queues that are paused now.
SELECT name FROM queue WHERE paused = 1;

-- name: circuit_of
-- How the circuit of a job stands; a trial that has ended, however it did, is none.
SELECT failures, circuit_until,
       (SELECT run.id FROM run WHERE run.id = job.trial
          AND run.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying'))
FROM job WHERE id = :job;

-- name: pause_job
-- Let nothing of a job start; a pause in force goes on under the new word.
UPDATE job SET paused_at = iif(paused, paused_at, :now), paused = 1, paused_until = :until, paused_by = :by,
  paused_note = :note, trial = NULL
WHERE id = :job;

-- name: resume_job
-- End the pause of a job.
UPDATE job SET paused = 0, paused_until = :now WHERE id = :job AND paused = 1;

-- name: pause_queue
-- Let nothing of a queue start.
INSERT INTO queue (name, paused, paused_at, paused_until, paused_by, paused_note)
VALUES (:name, 1, :now, :until, :by, :note)
ON CONFLICT (name) DO UPDATE SET paused_at = iif(paused, paused_at, excluded.paused_at), paused = 1,
  paused_until = excluded.paused_until, paused_by = excluded.paused_by, paused_note = excluded.paused_note;

-- name: resume_queue
-- End the pause of a queue.
UPDATE queue SET paused = 0, paused_until = :now WHERE name = :name AND paused = 1;

-- name: lapsed_jobs
-- End the pauses of jobs whose time is over.
UPDATE job SET paused = 0 WHERE paused = 1 AND paused_until <= :now RETURNING id, name;

-- name: lapsed_queues
-- End the pauses of queues whose time is over.
UPDATE queue SET paused = 0 WHERE paused = 1 AND paused_until <= :now RETURNING name;

-- name: candidates
-- The oldest waiting run of each job whose circuit may have a trial and has none under way.
SELECT job.id, job.name, run.id FROM job INDEXED BY job_circuit CROSS JOIN run ON run.id = (
  SELECT next.id FROM run AS next INDEXED BY run_active WHERE next.job = job.id
    AND next.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying') AND next.state = 'queued'
  ORDER BY next.id LIMIT 1)
WHERE job.circuit_until IS NOT NULL AND job.circuit_until <= :now AND job.paused = 0
  AND NOT EXISTS (SELECT 1 FROM run AS trial WHERE trial.id = job.trial
                  AND trial.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying'));

-- name: note_trial
-- Let one run try whether the job works again.
UPDATE job SET trial = :run WHERE id = :job;

-- name: forget_trials
-- A trial that ended without showing anything (cancelled, expired) leaves its place to the next run.
UPDATE job INDEXED BY job_circuit SET trial = NULL
WHERE circuit_until IS NOT NULL AND trial IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM run WHERE run.id = job.trial
                  AND run.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying'));

-- name: let_go
-- Let a run stand where those of its job are that may start.
UPDATE run SET lane = (SELECT coalesce(run.own_lane, open_lane) FROM job WHERE job.id = run.job)
WHERE id = :run AND state IN ('blocked', 'scheduled', 'queued', 'retrying');

-- name: take_back_skips
-- Forget the slots of a job that are skipped ahead.
DELETE FROM slot WHERE job = :job AND at > :now AND disposition = 'skipped' AND reason LIKE 'skip_next%' RETURNING at;

-- name: move_lane
-- Let the unfinished runs of a job stand where its limit, and what keeps it back, ask for.
UPDATE run SET lane = iif(state = 'running' OR id IS :trial OR :waits >= 0, coalesce(own_lane, :open), :waits)
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
  AND lane <> iif(state = 'running' OR id IS :trial OR :waits >= 0, coalesce(own_lane, :open), :waits);
