-- The statements of expiry.py, each with a sentence. `-- name:` begins one.

-- name: expire
-- End waiting runs that never started and are too late for it now, at most so many at once. The time of one that waits
-- for others begins when it is let go, unless it is bound to its slot.
UPDATE run SET state = 'expired', finished_at = :now,
  error = 'not started by ' || strftime('%Y-%m-%dT%H:%M:%SZ', expires_at / 1000000, 'unixepoch')
WHERE id IN (SELECT id FROM run INDEXED BY run_expiring
             WHERE expires_at <= :now
               AND (state IN ('scheduled', 'queued', 'retrying') OR (state = 'blocked' AND slot IS NOT NULL))
             ORDER BY expires_at LIMIT :most)
  AND state IN ('blocked', 'scheduled', 'queued', 'retrying')
RETURNING id, job, (SELECT name FROM job AS named WHERE named.id = run.job), queue, slot, error;

-- name: give_up
-- End runs that wait for another attempt while the time of all their attempts is over, at most so many at once.
UPDATE run SET state = 'failed', finished_at = :now, outcome = 'timeout', exit_code = 124,
  error = coalesce(error || '; ', '') || 'its total_timeout was over before the next attempt'
WHERE id IN (SELECT id FROM run INDEXED BY run_deadline
             WHERE deadline <= :now AND state IN ('scheduled', 'queued', 'running', 'retrying') AND state <> 'running'
             ORDER BY deadline LIMIT :most)
  AND state IN ('scheduled', 'queued', 'retrying')
RETURNING id, job, (SELECT name FROM job AS named WHERE named.id = run.job), queue, spec,
  (SELECT spec FROM job AS newest WHERE newest.id = run.job), error;

-- name: too_late
-- A run that still waits although it is too late to start.
SELECT id FROM run INDEXED BY run_expiring
WHERE expires_at <= :now
  AND (state IN ('scheduled', 'queued', 'retrying') OR (state = 'blocked' AND slot IS NOT NULL)) LIMIT 1;

-- name: expire_slot
-- Write down that the run of a slot was never started.
UPDATE slot SET disposition = 'expired', reason = :reason
WHERE job = :job AND at = :at AND run = :run AND disposition = 'started';
