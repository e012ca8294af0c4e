-- The statements of submits.py, each with a sentence. `-- name:` begins one.

-- name: lanes_of_job
-- Where the runs of a job are: those that may start, and those that wait; and which one is its trial.
SELECT open_lane, lane, trial FROM job WHERE id = :job;

-- name: last_run_id
-- The highest id that was ever given to a run.
SELECT seq FROM sqlite_sequence WHERE name = 'run';

-- name: add_run
-- Accept a run; one whose unique key is taken is not written down.
INSERT INTO run (id, job, spec, lane, queue, priority, state, run_at, created_at, max_attempts, trigger, slot, timeout,
                 owner, parent, key, expires_at, unique_key, unique_until, own_lane)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (unique_key)
  WHERE unique_key IS NOT NULL
    AND (unique_until IS NOT NULL OR state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying'))
DO NOTHING;

-- name: unique_holder
-- The run that holds a unique key.
SELECT id, state, owner FROM run INDEXED BY run_unique
WHERE unique_key = :digest
  AND (unique_until IS NOT NULL OR state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying'));

-- name: other_holder
-- The run that holds the unique key that an ended run had.
SELECT other.id, other.state FROM run CROSS JOIN run AS other INDEXED BY run_unique ON other.unique_key = run.unique_key
WHERE run.id = :run AND other.id <> run.id
  AND (other.unique_until IS NOT NULL OR other.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying'));

-- name: replace_waiting
-- Give a run that is not running the time and the priority of another that was to be made in its place. One that has
-- been tried already is not tried again sooner for it.
UPDATE run SET priority = :priority,
  run_at = iif(state = 'retrying', max(run_at, :run_at), :run_at),
  expires_at = iif(slot IS NULL AND attempt = 0, :expires_at, expires_at),
  state = iif(state IN ('scheduled', 'queued'), iif(:run_at > :now, 'scheduled', 'queued'), state)
WHERE id = :run AND state IN ('blocked', 'scheduled', 'queued', 'retrying')
RETURNING state;

-- name: add_payload
-- Keep the payload of a run that has one.
INSERT INTO run_data (run, payload) VALUES (?, ?);

-- name: keep_trace
-- Remember which trace a run belongs to; null where it belongs to none.
INSERT INTO run_data (run, traceparent, tracestate) VALUES (?, ?, ?)
ON CONFLICT (run) DO UPDATE SET traceparent = excluded.traceparent, tracestate = excluded.tracestate;

-- name: held_key
-- The run that holds an idempotency key: for 24 h, and as long as it is not final.
SELECT run_key.run, run.state FROM run_key JOIN run ON run.id = run_key.run
WHERE digest = :digest AND (held_until > :now OR run.finished_at IS NULL);

-- name: hold_key
-- Give an idempotency key to a run; a key that nobody holds any more passes on.
INSERT INTO run_key (digest, run, held_until) VALUES (:digest, :run, :held_until)
ON CONFLICT (digest) DO UPDATE SET run = excluded.run, held_until = excluded.held_until;

-- name: queued_by_owner
-- How many runs of a submitter wait.
SELECT runs FROM backlog WHERE owner = :owner;

-- name: payload
-- The payload of a run, and the trace it belongs to.
SELECT payload, traceparent, tracestate FROM run_data WHERE run = :run;

-- name: replace_payload
-- Give a run another payload before it is tried again.
INSERT INTO run_data (run, payload) VALUES (:run, :payload) ON CONFLICT (run) DO UPDATE SET payload = excluded.payload;

-- name: count_new
-- Count runs that were just accepted.
INSERT INTO tally (job, queue, state, runs) VALUES (?, ?, ?, ?)
ON CONFLICT (job, queue, state) DO UPDATE SET runs = runs + excluded.runs;

-- name: count_owned
-- Count runs of a submitter that were just accepted.
INSERT INTO backlog (owner, runs) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET runs = runs + excluded.runs;
