-- The statements of lateness.py, each with a sentence. `-- name:` begins one.

-- name: watched
-- How a job stands that is expected to keep something: of its runs the oldest that has not started and is due, whether
-- there are some whose instant has yet to come, and its last pause.
SELECT first_seen_at, last_success_at, circuit_until,
       (SELECT json_array(id, due) FROM (
          SELECT * FROM (SELECT id, coalesce(slot, run_at) AS due FROM run INDEXED BY run_active
                         WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
                           AND state = 'queued' AND attempt = 0 ORDER BY id LIMIT 1)
          UNION ALL
          SELECT * FROM (SELECT id, slot FROM run INDEXED BY run_active
                         WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
                           AND state = 'blocked' AND slot IS NOT NULL ORDER BY id LIMIT 1))
        ORDER BY due LIMIT 1),
       EXISTS (SELECT 1 FROM run INDEXED BY run_active
               WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
                 AND state = 'scheduled'),
       paused, paused_at, paused_until, paused_by, paused_note
FROM job WHERE id = :job;

-- name: running_of
-- The runs of a job that are under way, at most so many.
SELECT id, started_at, timeout FROM run INDEXED BY run_active
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying') AND state = 'running'
ORDER BY id LIMIT :most;

-- name: late
-- The checks of a job that failed by the last look.
SELECT kind, since, run FROM late WHERE job = :job;

-- name: note_late
-- Remember a check that fails.
INSERT INTO late (job, kind, since, run) VALUES (:job, :kind, :since, :run)
ON CONFLICT (job, kind) DO UPDATE SET since = excluded.since, run = excluded.run;

-- name: forget_late
-- A check holds again.
DELETE FROM late WHERE job = :job AND kind = :kind;

-- name: late_jobs
-- Every job that was late by the last look.
SELECT DISTINCT job.name, job.id FROM late CROSS JOIN job ON job.id = late.job;
