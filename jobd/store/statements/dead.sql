-- The statements of dead.py, each with a sentence. `-- name:` begins one.

-- name: bury
-- Keep a run that failed for good as a dead letter; one that is there already stays as it is.
INSERT INTO dead_letter (run, job, queue, reason, died_at, attempts)
SELECT id, job, queue, :reason, :now, attempt - given_back FROM run WHERE id = :run AND state = 'failed'
ON CONFLICT (run) WHERE acted_at IS NULL DO NOTHING;

-- name: settle_dead
-- Write down who acted on the open dead letter of a run, and how.
UPDATE dead_letter SET acted_at = :now, action = :action, acted_by = :by WHERE run = :run AND acted_at IS NULL;

-- name: choose_dead
-- The runs of open dead letters that a filter leaves, the oldest letter first: a run that dies again as soon as it is
-- tried again goes behind those whose turn has not come.
SELECT dead.run FROM dead_letter AS dead INDEXED BY dead_letter_open JOIN run ON run.id = dead.run
WHERE dead.acted_at IS NULL
  AND (:runs IS NULL OR dead.run IN (SELECT value FROM json_each(:runs)))
  AND (:job IS NULL OR dead.job = (SELECT id FROM job WHERE name = :job))
  AND (:queue IS NULL OR dead.queue = :queue)
  AND (:owner IS NULL OR run.owner = :owner)
ORDER BY dead.id LIMIT :most;

-- name: choose_retriable
-- The same of runs that can be tried again: no other run holds the unique key that they had.
SELECT dead.run FROM dead_letter AS dead INDEXED BY dead_letter_open JOIN run ON run.id = dead.run
WHERE dead.acted_at IS NULL AND run.state = 'failed'
  AND (:runs IS NULL OR dead.run IN (SELECT value FROM json_each(:runs)))
  AND (:job IS NULL OR dead.job = (SELECT id FROM job WHERE name = :job))
  AND (:queue IS NULL OR dead.queue = :queue)
  AND (:owner IS NULL OR run.owner = :owner)
  AND NOT EXISTS (
    SELECT 1 FROM run AS other INDEXED BY run_unique WHERE other.unique_key = run.unique_key AND other.id <> run.id
      AND (other.unique_until IS NOT NULL OR other.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')))
ORDER BY dead.id LIMIT :most;
