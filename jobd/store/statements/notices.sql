-- The statements of notices.py, each with a sentence. `-- name:` begins one.

-- name: notice
-- What is remembered of an occasion of a job.
SELECT first_at, told_at, untold FROM notice WHERE job = :job AND occasion = :occasion;

-- name: note_notice
-- Remember an occasion of a job as it is now.
INSERT INTO notice (job, occasion, first_at, told_at, untold) VALUES (:job, :occasion, :first_at, :told_at, :untold)
ON CONFLICT (job, occasion) DO UPDATE
  SET first_at = excluded.first_at, told_at = excluded.told_at, untold = excluded.untold;

-- name: settle_notices
-- Nothing is wrong with a job any more.
DELETE FROM notice WHERE job = :job RETURNING occasion, first_at;

-- name: recent_runs
-- How many of the last runs of a job, at most so many, were accepted since an instant.
SELECT count(*) FROM (SELECT created_at FROM run INDEXED BY run_of_job WHERE job = :job ORDER BY id DESC LIMIT :most)
WHERE created_at > :since;

-- name: untried
-- The newest run of a job with this key that waits and was never tried, and its payload.
SELECT run.id, payload FROM run INDEXED BY run_active JOIN run_data ON run_data.run = run.id
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
  AND state IN ('scheduled', 'queued') AND attempt = 0 AND key = :key
ORDER BY run.id DESC LIMIT 1;

-- name: oldest_untried
-- The oldest runs of a job that wait and were never tried, at most so many.
SELECT id FROM run INDEXED BY run_active
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
  AND state IN ('scheduled', 'queued') AND attempt = 0
ORDER BY id LIMIT :most;
