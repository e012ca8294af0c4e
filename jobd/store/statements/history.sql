-- The statements of history.py, each with a sentence. `-- name:` begins one.

-- name: meta
-- Read a fact about the file itself.
SELECT value FROM meta WHERE key = :key;

-- name: run_columns
-- One run, everything a listing shows.
SELECT run.id, job.name, run.state, run.queue, run.priority, CAST(data.payload AS BLOB), CAST(data.result AS BLOB), run.error,
       run.attempt, run.max_attempts, run.trigger, run.slot, run.run_at, run.created_at, run.started_at,
       run.finished_at, run.exit_code, run.outcome, run.key, run.parent, run.owner, spec.hash, spec.text, run.cancelling,
       run.expires_at, data.traceparent, data.tracestate
FROM run JOIN job ON job.id = run.job JOIN job_spec AS spec ON spec.id = run.spec
LEFT JOIN run_data AS data ON data.run = run.id
WHERE run.id = :run;

-- name: definition_of_run
-- The definition that a run was accepted under.
SELECT job_spec.text FROM run JOIN job_spec ON job_spec.id = run.spec WHERE run.id = :run;

-- name: list_runs
-- Runs newest first below a cursor, narrowed by whatever is not null.
SELECT run.id, job.name, run.state, run.queue, run.priority, CAST(data.payload AS BLOB), CAST(data.result AS BLOB), run.error,
       run.attempt, run.max_attempts, run.trigger, run.slot, run.run_at, run.created_at, run.started_at,
       run.finished_at, run.exit_code, run.outcome, run.key, run.parent, run.owner, spec.hash, spec.text, run.cancelling,
       run.expires_at, data.traceparent, data.tracestate
FROM run JOIN job ON job.id = run.job JOIN job_spec AS spec ON spec.id = run.spec
LEFT JOIN run_data AS data ON data.run = run.id
WHERE run.id < :before
  AND (:states IS NULL OR run.state IN (SELECT value FROM json_each(:states)))
  AND (:queue IS NULL OR run.queue = :queue)
  AND (:since IS NULL OR run.created_at >= :since)
ORDER BY run.id DESC LIMIT :limit;

-- name: list_runs_of_job
-- The same for one job, along the index of its runs.
SELECT run.id, job.name, run.state, run.queue, run.priority, CAST(data.payload AS BLOB), CAST(data.result AS BLOB), run.error,
       run.attempt, run.max_attempts, run.trigger, run.slot, run.run_at, run.created_at, run.started_at,
       run.finished_at, run.exit_code, run.outcome, run.key, run.parent, run.owner, spec.hash, spec.text, run.cancelling,
       run.expires_at, data.traceparent, data.tracestate
FROM run INDEXED BY run_of_job JOIN job ON job.id = run.job JOIN job_spec AS spec ON spec.id = run.spec
LEFT JOIN run_data AS data ON data.run = run.id
WHERE run.job = (SELECT id FROM job WHERE name = :job) AND run.id < :before
  AND (:states IS NULL OR run.state IN (SELECT value FROM json_each(:states)))
  AND (:queue IS NULL OR run.queue = :queue)
  AND (:since IS NULL OR run.created_at >= :since)
ORDER BY run.id DESC LIMIT :limit;

-- name: standings
-- What is remembered of the jobs in force, the first so many by name; -1 is all.
SELECT id, name, first_seen_at, watermark, last_slot, last_run, last_state, last_outcome, last_exit_code,
       last_finished_at, last_success_at, last_failure_at,
       paused, paused_at, paused_until, paused_by, paused_note, failures, circuit_until, trial,
       (SELECT json_group_array(json_array(kind, since, late.run)) FROM late WHERE late.job = job.id)
FROM job WHERE removed_at IS NULL AND id > 0 ORDER BY name LIMIT :most;

-- name: standing
-- The same of one job.
SELECT id, name, first_seen_at, watermark, last_slot, last_run, last_state, last_outcome, last_exit_code,
       last_finished_at, last_success_at, last_failure_at,
       paused, paused_at, paused_until, paused_by, paused_note, failures, circuit_until, trial,
       (SELECT json_group_array(json_array(kind, since, late.run)) FROM late WHERE late.job = job.id)
FROM job WHERE name = :name AND removed_at IS NULL AND id > 0;

-- name: job_counts
-- How many of the jobs in force failed last, are paused, are kept back by their circuit, are late.
SELECT coalesce(sum(last_state = 'failed'), 0), coalesce(sum(paused), 0), count(circuit_until),
       coalesce(sum(EXISTS (SELECT 1 FROM late WHERE late.job = job.id AND kind <> 'timeout_warning')), 0)
FROM job WHERE removed_at IS NULL AND id > 0;

-- name: active_count
-- How many runs one job has waiting and running.
SELECT coalesce(sum(iif(state <> 'running', runs, 0)), 0), coalesce(sum(iif(state = 'running', runs, 0)), 0) FROM tally
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying');

-- name: active_counts
-- How many runs each job has waiting and running.
SELECT job, sum(iif(state <> 'running', runs, 0)), sum(iif(state = 'running', runs, 0)) FROM tally
WHERE state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying') GROUP BY job;

-- name: queue_counts
-- How many runs each queue holds in each state.
SELECT queue, state, sum(runs) FROM tally GROUP BY queue, state HAVING sum(runs) > 0;

-- name: oldest_waiting
-- Since when the oldest run of each queue waits for a worker: the first of each lane and priority, found by hopping.
WITH RECURSIVE hop (id) AS (
  SELECT * FROM (SELECT id FROM run INDEXED BY run_ready WHERE state = 'queued' ORDER BY queue, lane, priority DESC LIMIT 1)
  UNION ALL
  SELECT coalesce(
    (SELECT next.id FROM run AS next INDEXED BY run_ready WHERE next.state = 'queued' AND next.queue = here.queue
       AND next.lane = here.lane AND next.priority < here.priority ORDER BY next.priority DESC, next.run_at LIMIT 1),
    (SELECT next.id FROM run AS next INDEXED BY run_ready WHERE next.state = 'queued' AND next.queue = here.queue
       AND next.lane > here.lane ORDER BY next.lane, next.priority DESC, next.run_at LIMIT 1),
    (SELECT next.id FROM run AS next INDEXED BY run_ready WHERE next.state = 'queued' AND next.queue > here.queue
     ORDER BY next.queue, next.lane, next.priority DESC, next.run_at LIMIT 1))
  FROM hop JOIN run AS here ON here.id = hop.id LIMIT :most
)
SELECT run.queue, min(run.run_at) FROM hop JOIN run ON run.id = hop.id GROUP BY run.queue;

-- name: finished_since
-- What each queue finished since an instant (in units of five minutes): runs, successes, failures, their mean seconds.
SELECT queue, sum(runs), sum(iif(state = 'succeeded', runs, 0)), sum(iif(state = 'failed', runs, 0)),
       sum(seconds) / sum(runs)
FROM finished WHERE bucket >= :since AND state IN ('succeeded', 'failed') GROUP BY queue;

-- name: next_slots_of_job
-- What became of the first due slots of a job from an instant on, oldest first.
SELECT job.name, slot.at, slot.disposition, slot.run, slot.reason, slot.job, run.state, run.outcome, run.exit_code
FROM slot JOIN job ON job.id = slot.job LEFT JOIN run ON run.id = slot.run
WHERE slot.job = (SELECT id FROM job WHERE name = :job) AND slot.at >= :start
ORDER BY slot.at LIMIT :limit;

-- name: running_in_queue
-- The runs of a queue that are under way.
SELECT id FROM run INDEXED BY run_running WHERE state = 'running' AND queue = :queue ORDER BY id;

-- name: active_of_job
-- The runs of a job, by its name, that wait or run; the last column marks those that run.
SELECT id, state = 'running' FROM run INDEXED BY run_active
WHERE job = (SELECT id FROM job WHERE name = :job)
  AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying') ORDER BY id;

-- name: front_of_lane
-- The runs that come first in the lane of a run, in the order in which they are reserved.
SELECT id FROM run INDEXED BY run_ready
WHERE state = 'queued' AND queue = :queue AND lane = (SELECT lane FROM run WHERE id = :run)
ORDER BY priority DESC, run_at, id LIMIT :most;

-- name: remembered
-- What is remembered of a job by its name, in force or not.
SELECT first_seen_at, watermark, last_slot, removed_at FROM job WHERE name = :name AND id > 0;

-- name: durations
-- How long those of a job's last runs took that succeeded, in microseconds, newest first.
SELECT finished_at - started_at FROM (
  SELECT state, started_at, finished_at FROM run INDEXED BY run_of_job
  WHERE job = (SELECT id FROM job WHERE name = :job) ORDER BY id DESC LIMIT :most)
WHERE state = 'succeeded' AND started_at IS NOT NULL;

-- name: samples
-- What counts of the newest runs below an id: whether they are of a span, states, attempts, for how long they waited and
-- ran (null where they did not).
SELECT run.id, run.created_at >= :since, job.name, run.queue, run.state, run.attempt - run.given_back,
       max(0, run.started_at - max(run.run_at, run.created_at)) / 1e6, max(0, run.finished_at - run.started_at) / 1e6
FROM run JOIN job ON job.id = run.job WHERE run.id < :before ORDER BY run.id DESC LIMIT :limit;

-- name: samples_of_job
-- The same of one job, along the index of its runs.
SELECT run.id, run.created_at >= :since, job.name, run.queue, run.state, run.attempt - run.given_back,
       max(0, run.started_at - max(run.run_at, run.created_at)) / 1e6, max(0, run.finished_at - run.started_at) / 1e6
FROM run INDEXED BY run_of_job JOIN job ON job.id = run.job
WHERE run.job = (SELECT id FROM job WHERE name = :job) AND run.id < :before ORDER BY run.id DESC LIMIT :limit;

-- name: list_dead
-- Open dead letters, the latest run first below a cursor, narrowed by whatever is not null.
SELECT dead.run, job.name, dead.queue, dead.reason, dead.died_at, dead.attempts, run.outcome, run.exit_code, run.owner
FROM dead_letter AS dead INDEXED BY dead_letter_open
JOIN run ON run.id = dead.run JOIN job ON job.id = dead.job
WHERE dead.acted_at IS NULL AND dead.run < :before
  AND (:runs IS NULL OR dead.run IN (SELECT value FROM json_each(:runs)))
  AND (:job IS NULL OR job.name = :job)
  AND (:queue IS NULL OR dead.queue = :queue)
  AND (:owner IS NULL OR run.owner = :owner)
ORDER BY dead.run DESC LIMIT :limit;

-- name: dead_figures
-- How many open dead letters there are of each queue and job, and since when.
SELECT dead.queue, job.name, count(*), min(dead.died_at), max(dead.died_at)
FROM dead_letter AS dead INDEXED BY dead_letter_of_queue JOIN job ON job.id = dead.job
WHERE dead.acted_at IS NULL GROUP BY dead.queue, dead.job ORDER BY dead.queue, count(*) DESC, job.name;

-- name: dead_counts
-- How many open dead letters each queue has.
SELECT queue, count(*) FROM dead_letter INDEXED BY dead_letter_of_queue WHERE acted_at IS NULL GROUP BY queue;

-- name: deaths
-- Every time a run became a dead letter, first to last, and what was done about it.
SELECT reason, died_at, attempts, queue, acted_at, action, acted_by FROM dead_letter WHERE run = :run ORDER BY id;

-- name: edges_into
-- What a run waits for, or waited for.
SELECT edge.parent, edge.condition, edge.decision, (SELECT name FROM job WHERE job.id = parent.job), parent.state
FROM edge INDEXED BY edge_of_child CROSS JOIN run AS parent ON parent.id = edge.parent
WHERE edge.child = :child ORDER BY edge.parent;

-- name: relatives
-- The runs that hang together with a run by edges, the nearest first, at most so many.
WITH RECURSIVE relative (id) AS (
  SELECT :run
  UNION
  SELECT iif(edge.parent = relative.id, edge.child, edge.parent)
  FROM relative CROSS JOIN edge ON edge.parent = relative.id OR edge.child = relative.id
  LIMIT :most
)
SELECT run.id, job.name, run.state, run.outcome, run.exit_code, run.error, run.owner, run.attempt, run.run_at,
       run.started_at, run.finished_at
FROM relative CROSS JOIN run ON run.id = relative.id CROSS JOIN job ON job.id = run.job;

-- name: edges_among
-- The edges between runs.
SELECT edge.parent, edge.child, edge.condition, edge.decision
FROM json_each(:runs) AS one CROSS JOIN edge ON edge.parent = one.value
WHERE edge.child IN (SELECT value FROM json_each(:runs)) ORDER BY edge.child, edge.parent;

-- name: list_audit
-- Entries of the audit trail, newest first; of one user, or of all.
SELECT id, at, uid, user, pid, executable, did, target, result, detail, times, digest FROM audit
WHERE id < :before AND at >= :since AND (:user IS NULL OR user = :user) ORDER BY id DESC LIMIT :limit;

-- name: audit_after
-- Entries of the audit trail above a number, oldest first, to follow the chain.
SELECT id, at, uid, user, pid, executable, did, target, result, detail, times, digest FROM audit
WHERE id > :after ORDER BY id LIMIT :limit;
