-- The statements of retention.py, each with a sentence. `-- name:` begins one.

-- name: next_ended
-- The next runs above a cursor, oldest first, that were made before an instant: what retention looks at.
SELECT run.id, run.job, run.state, run.created_at, run.finished_at, run.attempt, run.key IS NOT NULL, dead.id IS NOT NULL, run.unique_until,
       EXISTS (SELECT 1 FROM edge CROSS JOIN run AS child ON child.id = edge.child
               WHERE edge.parent = run.id AND child.finished_at IS NULL)
FROM run LEFT JOIN dead_letter AS dead ON dead.run = run.id AND dead.acted_at IS NULL
WHERE run.id > :cursor AND run.created_at < :before ORDER BY run.id LIMIT :most;

-- name: newest_in_state
-- The newest runs of a job that ended in a state, among its newest so many.
SELECT id FROM (SELECT id, state FROM run INDEXED BY run_of_job WHERE job = :job ORDER BY id DESC LIMIT :among)
WHERE state = :state LIMIT :count;

-- name: forget_run
-- Take a run that has ended out of the history, and with it its attempts, payload and keys.
DELETE FROM run WHERE id = ? AND finished_at IS NOT NULL;

-- name: jobs_above
-- The next jobs by id, those out of force too.
SELECT id FROM job WHERE id > :cursor ORDER BY id LIMIT :most;

-- name: forget_slots
-- Take old slots of a job out of the history, at most so many at once.
DELETE FROM slot WHERE job = :job AND at IN (SELECT at FROM slot WHERE job = :job AND at < :before ORDER BY at LIMIT :most);

-- name: forget_finished
-- Drop the figures of what was finished long ago.
DELETE FROM finished WHERE bucket < :before;
