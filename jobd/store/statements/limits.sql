-- The statements of limits.py, each with a sentence. `-- name:` begins one.

-- name: note_takes
-- Write down what a run under way has taken of resources.
UPDATE run SET takes = :takes WHERE id = :run AND state = 'running';

-- name: taken
-- What runs under way have taken of resources.
SELECT id, takes FROM run INDEXED BY run_takes WHERE state = 'running' AND takes IS NOT NULL;

-- name: terms
-- What binds the runs of these lanes: their job, its limits, and what each of them takes.
SELECT lanes.value, job.id, job.running_limit, job.rate, coalesce(special.uses, job.uses)
FROM json_each(:lanes) AS lanes LEFT JOIN special ON special.lane = lanes.value
CROSS JOIN job ON job.id = coalesce(special.job, lanes.value);

-- name: terms_of_run
-- The same for a run that waits, wherever it stands.
SELECT job.id, job.running_limit, job.rate, coalesce(special.uses, job.uses)
FROM run CROSS JOIN job ON job.id = run.job LEFT JOIN special ON special.lane = run.own_lane WHERE run.id = :run;

-- name: add_special
-- Have a lane for runs of a job that use something of their own.
INSERT INTO special (lane, job, uses)
VALUES ((SELECT max(coalesce(max(lane), 0), 1099511627776) + 1 FROM special), :job, :uses)
ON CONFLICT (job, uses) DO NOTHING;

-- name: special_lane
-- The lane for runs of a job that use something of their own.
SELECT lane FROM special WHERE job = :job AND uses = :uses;

-- name: bucket
-- How many tokens a bucket held last, and when.
SELECT tokens, at FROM bucket WHERE name = :name;

-- name: note_bucket
-- Write down what a bucket holds.
INSERT INTO bucket (name, tokens, at) VALUES (:name, :tokens, :at)
ON CONFLICT (name) DO UPDATE SET tokens = excluded.tokens, at = excluded.at;

-- name: queue_settings
-- What operators set of queues in place of jobd.yaml's words, when and who.
SELECT name, settings, set_at, set_by FROM queue WHERE set_at IS NOT NULL;

-- name: set_queue
-- Remember what an operator sets of a queue.
INSERT INTO queue (name, settings, set_at, set_by) VALUES (:name, :settings, :now, :by)
ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, set_at = excluded.set_at, set_by = excluded.set_by;
