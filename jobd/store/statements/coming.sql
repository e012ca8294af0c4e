-- The statements of coming.py, each with a sentence. `-- name:` begins one.

-- name: coming
-- What comes due by itself: when the next run becomes ready, too late to start or out of time, or the next pause is
-- over; when the next cooldown is over; and whether any circuit is open.
SELECT
  (SELECT min(at) FROM (
    SELECT * FROM (SELECT run_at AS at FROM run INDEXED BY run_due WHERE state IN ('scheduled', 'retrying')
                   ORDER BY run_at LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT expires_at FROM run INDEXED BY run_expiring
                   WHERE expires_at IS NOT NULL
                     AND (state IN ('scheduled', 'queued', 'retrying') OR (state = 'blocked' AND slot IS NOT NULL))
                   ORDER BY expires_at LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT deadline FROM run INDEXED BY run_deadline
                   WHERE deadline IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'retrying')
                     AND state <> 'running'
                   ORDER BY deadline LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT paused_until FROM job INDEXED BY job_paused WHERE paused = 1 AND paused_until IS NOT NULL
                   ORDER BY paused_until LIMIT 1)
    UNION ALL
    SELECT paused_until FROM queue WHERE paused = 1 AND paused_until IS NOT NULL
  )),
  (SELECT circuit_until FROM job INDEXED BY job_circuit
   WHERE circuit_until IS NOT NULL AND circuit_until > :now ORDER BY circuit_until LIMIT 1),
  EXISTS (SELECT 1 FROM job INDEXED BY job_circuit WHERE circuit_until IS NOT NULL);
