-- Every statement the store runs while jobd works, each with a sentence. `-- name:` begins one.

-- name: note_meta
-- Remember a fact about the file itself.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: meta
-- Read a fact about the file itself.
SELECT value FROM meta WHERE key = :key;

-- name: add_spec
-- Keep a definition, unless it is kept already.
INSERT INTO job_spec (hash, text) VALUES (:hash, :text) ON CONFLICT (hash) DO NOTHING;

-- name: spec_id
-- Find a kept definition by its hash.
SELECT id FROM job_spec WHERE hash = :hash;

-- name: spec_text
-- Read a kept definition.
SELECT text FROM job_spec WHERE id = :id;

-- name: adopt_job
-- Put a job in force: a new one owes nothing before now, a known one keeps its watermark.
INSERT INTO job (name, spec, file, first_seen_at, watermark, boot_id, running_limit, rate, uses)
VALUES (:name, :spec, :file, :now, :now, :boot, :limit, :rate, :uses)
ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, file = excluded.file, removed_at = NULL,
  running_limit = excluded.running_limit, rate = excluded.rate, uses = excluded.uses
RETURNING id;

-- name: reset_watermark
-- Let a job whose schedule changed or that came back owe nothing before now.
UPDATE job SET watermark = max(watermark, :now), first_seen_at = :now, last_slot = NULL, next_slot = NULL,
  boot_id = :boot
WHERE name = :name;

-- name: remove_job
-- Take a job out of force; its history and accepted runs stay.
UPDATE job SET removed_at = :now WHERE name = :name AND removed_at IS NULL;

-- name: jobs_in_force
-- Every job in force with its file and the text of its definition, as the last supervisor left them.
SELECT job.name, job.file, job_spec.text, job.id, job.spec FROM job JOIN job_spec ON job_spec.id = job.spec
WHERE job.removed_at IS NULL;

-- name: timing
-- What planning needs to know of one job.
SELECT first_seen_at, watermark, last_slot, ended_at, boot_id, next_slot FROM job WHERE id = :job;

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

-- name: lanes_of_job
-- Where the runs of a job are: those that may start, and those that wait; and which one is its trial.
SELECT open_lane, lane, trial FROM job WHERE id = :job;

-- name: note_circuit
-- Remember how the circuit of a job stands.
UPDATE job SET failures = :failures, circuit_until = :until, trial = :trial WHERE id = :job;

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

-- name: job_id
-- A job by its name, in force or not.
SELECT id FROM job WHERE name = :name AND id > 0;

-- name: unfinished_of
-- The runs of a job that wait, or run and are not being ended, at most so many.
SELECT id FROM run INDEXED BY run_active
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying') AND cancelling = 0 LIMIT :most;

-- name: timings
-- What planning needs to know of every job in force.
SELECT id, name, first_seen_at, watermark, last_slot, ended_at, boot_id, next_slot FROM job
WHERE removed_at IS NULL AND id > 0;

-- name: restand
-- Move all that is known of the slots of a job along with a clock that was set back.
UPDATE job SET first_seen_at = :first_seen_at, watermark = :watermark, last_slot = :last_slot, ended_at = :ended_at
WHERE id = :job;

-- name: move_watermark
-- No slot at or before this instant fires any more, and none of this start of the host; the next one is to be this.
UPDATE job SET watermark = :watermark, last_slot = coalesce(:last_slot, last_slot), next_slot = :next_slot,
  boot_id = :boot
WHERE id = :job;

-- name: note_next_slot
-- Remember the next slot of a job as it is computed now.
UPDATE job SET next_slot = :next_slot WHERE id = :job;

-- name: active_runs
-- The runs of a job that wait or run, oldest first; the last column marks those of slots that never started.
SELECT id, state = 'running', slot IS NOT NULL AND attempt = 0 FROM run INDEXED BY run_active
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying') ORDER BY id;

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

-- name: skip_slot
-- Write down that the run of a slot was not accepted.
UPDATE slot SET disposition = 'skipped', reason = :reason, run = NULL
WHERE job = :job AND at = :at AND disposition = 'started';

-- name: add_slot
-- Write down what became of a due slot; a slot that is there already stays as it is.
INSERT INTO slot (job, at, disposition, run, reason) VALUES (:job, :at, :disposition, :run, :reason)
ON CONFLICT (job, at) DO NOTHING;

-- name: decided
-- The newest slots of a job in a span of time that are written down.
SELECT at FROM slot WHERE job = :job AND at >= :start AND at <= :now ORDER BY at DESC LIMIT :most;

-- name: promote
-- Let runs wait for a worker whose time has come, at most so many at once.
UPDATE run SET state = 'queued'
WHERE id IN (SELECT id FROM run WHERE state IN ('scheduled', 'retrying') AND run_at <= :now ORDER BY run_at LIMIT :most)
  AND state IN ('scheduled', 'retrying')
RETURNING id;

-- name: carry_circuits
-- Let cooldowns last as long as they were to, over a wall clock that was set.
UPDATE job SET circuit_until = circuit_until + :stepped WHERE circuit_until IS NOT NULL;

-- name: carry_retries
-- Let waits between attempts last as long as they were to, over a wall clock that was set.
UPDATE run SET run_at = run_at + :stepped WHERE state = 'retrying';

-- name: carry_buckets
-- Let buckets have filled for as long as they did, over a wall clock that was set.
UPDATE bucket SET at = at + :stepped;

-- name: carry_expiring
-- Let runs that must start in time have as long as they had, over a wall clock that was set. The time of one whose
-- instant has yet to come, or that waits for others, begins with that: it was not used up, and is all there.
UPDATE run SET expires_at = expires_at + iif(state = 'scheduled', max(:now - run_at, 0), :stepped)
WHERE expires_at IS NOT NULL
  AND (state IN ('scheduled', 'queued', 'retrying') OR (state = 'blocked' AND slot IS NOT NULL));

-- name: carry_running
-- Let runs that are under way have begun as long ago as they did, over a wall clock that was set.
UPDATE run SET started_at = started_at + :stepped WHERE state = 'running';

-- name: carry_attempts
-- The same for their attempts.
UPDATE attempt SET reserved_at = reserved_at + :stepped, started_at = started_at + :stepped
WHERE outcome IS NULL AND (run, attempt) IN (SELECT id, attempt FROM run INDEXED BY run_running WHERE state = 'running');

-- name: carry_deadlines
-- The same for the time that all attempts of a run have together.
UPDATE run INDEXED BY run_deadline SET deadline = deadline + :stepped
WHERE deadline IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'retrying');

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

-- name: set_deadline
-- Let the time of all attempts of a run begin with its first; when it is over.
UPDATE run SET deadline = coalesce(deadline, :deadline) WHERE id = :run AND state = 'running' RETURNING deadline;

-- name: too_late
-- A run that still waits although it is too late to start.
SELECT id FROM run INDEXED BY run_expiring
WHERE expires_at <= :now
  AND (state IN ('scheduled', 'queued', 'retrying') OR (state = 'blocked' AND slot IS NOT NULL)) LIMIT 1;

-- name: expire_slot
-- Write down that the run of a slot was never started.
UPDATE slot SET disposition = 'expired', reason = :reason
WHERE job = :job AND at = :at AND run = :run AND disposition = 'started';

-- name: waiting_queues
-- The queues in which a run waits for a worker, from the first after a name on, found by hopping along the index.
WITH RECURSIVE hop (queue) AS (
  SELECT * FROM (SELECT queue FROM run INDEXED BY run_ready WHERE state = 'queued' AND queue > :after
                 ORDER BY queue LIMIT 1)
  UNION ALL
  SELECT (SELECT next.queue FROM run AS next INDEXED BY run_ready WHERE next.state = 'queued' AND next.queue > hop.queue
          ORDER BY next.queue LIMIT 1)
  FROM hop WHERE hop.queue IS NOT NULL LIMIT :most
)
SELECT queue FROM hop WHERE queue IS NOT NULL;

-- name: common_lane
-- Whether a run waits in the common lane of a queue.
SELECT 1 FROM run INDEXED BY run_ready WHERE state = 'queued' AND queue = :queue AND lane = 0 LIMIT 1;

-- name: best_lanes
-- The lanes of jobs with a limit in which the best runs of a queue wait, but those that are full.
SELECT lane FROM lane INDEXED BY lane_order
WHERE queue = :queue AND lane NOT IN (SELECT value FROM json_each(:full))
ORDER BY priority DESC, run_at, run LIMIT :most;

-- name: waiting
-- How many runs wait in a lane, counted up to a bound.
SELECT count(*) FROM (
  SELECT 1 FROM run INDEXED BY run_ready WHERE state = 'queued' AND queue = :queue AND lane = :lane LIMIT :most);

-- name: running
-- How many attempts each queue and lane has under way.
SELECT queue, lane, count(*) FROM run INDEXED BY run_running WHERE state = 'running' GROUP BY queue, lane;

-- name: reserve
-- Move the best waiting runs of a queue to running: from each open lane at most its room, in all at most :most.
-- This is the one place where attempts are counted.
UPDATE run SET state = 'running', attempt = attempt + 1, started_at = :now, outcome = NULL, exit_code = NULL, error = NULL,
  takes = NULL
WHERE state = 'queued' AND id IN (
  SELECT id FROM (
    SELECT best.id, best.priority, best.run_at, open.value ->> 1 AS room,
           row_number() OVER (PARTITION BY best.lane ORDER BY best.priority DESC, best.run_at, best.id) AS place
    FROM json_each(:lanes) AS open CROSS JOIN run AS best
    WHERE best.id IN (
      SELECT id FROM run INDEXED BY run_ready WHERE state = 'queued' AND queue = :queue AND lane = open.value ->> 0
      ORDER BY priority DESC, run_at, id LIMIT :most))
  WHERE place <= room ORDER BY priority DESC, run_at, id LIMIT :most)
RETURNING id, attempt, given_back, job, spec, priority, run_at, created_at, max_attempts, trigger, slot, timeout, owner, lane, parent,
  renewed_at;

-- name: reserve_lane
-- The same where a queue has one open lane, as nearly all have: straight down the index.
UPDATE run SET state = 'running', attempt = attempt + 1, started_at = :now, outcome = NULL, exit_code = NULL, error = NULL,
  takes = NULL
WHERE state = 'queued' AND id IN (
  SELECT id FROM run INDEXED BY run_ready WHERE state = 'queued' AND queue = :queue AND lane = :lane
  ORDER BY priority DESC, run_at, id LIMIT :most)
RETURNING id, attempt, given_back, job, spec, priority, run_at, created_at, max_attempts, trigger, slot, timeout, owner, lane, parent,
  renewed_at;

-- name: best
-- The best waiting runs of a queue, each with its lane: of each open lane at most :most. What they use up together
-- decides which of them are taken.
SELECT best.id, best.lane FROM json_each(:lanes) AS open CROSS JOIN run AS best
WHERE best.id IN (
  SELECT id FROM run INDEXED BY run_ready WHERE state = 'queued' AND queue = :queue AND lane = open.value ->> 0
  ORDER BY priority DESC, run_at, id LIMIT :most)
ORDER BY best.priority DESC, best.run_at, best.id;

-- name: reserve_these
-- Move these waiting runs to running.
UPDATE run SET state = 'running', attempt = attempt + 1, started_at = :now, outcome = NULL, exit_code = NULL, error = NULL,
  takes = NULL
WHERE state = 'queued' AND id IN (SELECT value FROM json_each(:runs))
RETURNING id, attempt, given_back, job, spec, priority, run_at, created_at, max_attempts, trigger, slot, timeout, owner, lane, parent,
  renewed_at;

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

-- name: buckets
-- Every bucket that was ever used.
SELECT name, tokens, at FROM bucket;

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

-- name: head
-- Whose runs come first in a lane, in the order in which they are reserved.
SELECT (SELECT name FROM job WHERE job.id = run.job) FROM run INDEXED BY run_ready
WHERE state = 'queued' AND queue = :queue AND lane = :lane ORDER BY priority DESC, run_at, id LIMIT :most;

-- name: payload
-- The payload of a run, and the trace it belongs to.
SELECT payload, traceparent, tracestate FROM run_data WHERE run = :run;

-- name: open_attempt
-- Write down that an attempt is about to start, and in which worker.
INSERT INTO attempt (run, attempt, reserved_at, boot_id, worker_pid, worker_ticks) VALUES (?, ?, ?, ?, ?, ?);

-- name: note_child
-- Remember the process of an attempt that is still under way.
UPDATE attempt SET started_at = :started_at, child_pid = :pid, child_ticks = :ticks
WHERE run = :run AND attempt = :attempt AND outcome IS NULL;

-- name: under_way
-- The run of an attempt, as long as that attempt is the one under way.
SELECT run.job, job.name, run.spec, run.queue, run.trigger, run.max_attempts, run.attempt - run.given_back,
       run.cancelling, run.started_at, job.spec, run.deadline
FROM run JOIN job ON job.id = run.job
WHERE run.id = :run AND run.attempt = :attempt AND run.state = 'running';

-- name: close_attempt
-- Write down how an attempt ended, once.
UPDATE attempt SET started_at = coalesce(:started_at, started_at), finished_at = :finished_at, outcome = :outcome,
  exit_code = :exit_code, signal = :signal, error = :error, cpu_user = :cpu_user, cpu_system = :cpu_system,
  peak_memory = :peak_memory, stdout_bytes = :stdout_bytes, stderr_bytes = :stderr_bytes,
  output_cut = :output_cut, leftovers = :leftovers, snapshot = :snapshot,
  progress = :progress, status_text = :status_text, io_read = :io_read, io_written = :io_written,
  context_switches = :context_switches
WHERE run = :run AND attempt = :attempt AND outcome IS NULL;

-- name: end_run
-- Give a running run its final state; a run that another attempt took over is left alone.
UPDATE run SET state = :state, started_at = coalesce(:started_at, started_at), finished_at = :finished_at,
  outcome = :outcome, exit_code = :exit_code, error = :error, cancelling = 0
WHERE id = :run AND attempt = :attempt AND state = 'running';

-- name: rerun
-- Let a running run wait for another attempt; `given_back` is 1 where this one does not count. What has started once
-- does not expire any more.
UPDATE run SET state = :state, expires_at = iif(:started, NULL, expires_at), run_at = :run_at, given_back = given_back + :given_back,
  outcome = :outcome, exit_code = :exit_code, error = :error,
  lane = (SELECT iif(job.lane >= 0 OR trial = run.id, coalesce(run.own_lane, open_lane), job.lane) FROM job WHERE job.id = run.job)
WHERE id = :run AND attempt = :attempt AND state = 'running';

-- name: keep_result
-- Keep what a run gave back.
INSERT INTO run_data (run, result) VALUES (:run, :result) ON CONFLICT (run) DO UPDATE SET result = excluded.result;

-- name: note_last
-- Remember how the latest run of a job ended. An end that lies ahead was noted before the clock was set back.
UPDATE job SET ended_at = max(min(:finished_at, :now), iif(ended_at <= :now, ended_at, 0)), last_run = :run, last_state = :state, last_outcome = :outcome, last_exit_code = :exit_code,
  last_finished_at = :finished_at,
  last_success_at = iif(:state = 'succeeded', :finished_at, last_success_at),
  last_failure_at = iif(:state = 'failed', :finished_at, last_failure_at)
WHERE id = :job;

-- name: cancel_waiting
-- End a run that waits; what already runs is left alone.
UPDATE run SET state = 'cancelled', finished_at = :now, outcome = 'cancelled', error = :error
WHERE id = :run AND state IN ('blocked', 'scheduled', 'queued', 'retrying')
RETURNING job, (SELECT name FROM job AS named WHERE named.id = run.job), queue;

-- name: cancel_running
-- Remember that a running run is to be ended.
UPDATE run SET cancelling = 1, error = :error WHERE id = :run AND state = 'running' AND cancelling = 0 RETURNING attempt;

-- name: retry_run
-- Queue a run again that ended failed or cancelled, with one attempt more if none is left; it still waits for parents
-- that have not ended. Where another run holds its unique key by now, it stays as it is.
UPDATE run SET run_at = :now, finished_at = NULL, cancelling = 0, expires_at = NULL, deadline = NULL, renewed_at = :now,
  lane = (SELECT iif(job.lane >= 0, coalesce(run.own_lane, job.lane), job.lane) FROM job WHERE job.id = run.job),
  state = iif(EXISTS (SELECT 1 FROM edge INDEXED BY edge_of_child CROSS JOIN run AS parent ON parent.id = edge.parent
                      WHERE edge.child = run.id AND edge.decision IS NOT 'waived' AND parent.finished_at IS NULL),
              'blocked', 'queued'),
  max_attempts = max(max_attempts, attempt - given_back + 1)
WHERE id = :run AND state IN ('failed', 'cancelled')
  AND NOT EXISTS (
    SELECT 1 FROM run AS other INDEXED BY run_unique WHERE other.unique_key = run.unique_key AND other.id <> run.id
      AND (other.unique_until IS NOT NULL OR other.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')))
RETURNING state;

-- name: replace_payload
-- Give a run another payload before it is tried again.
INSERT INTO run_data (run, payload) VALUES (:run, :payload) ON CONFLICT (run) DO UPDATE SET payload = excluded.payload;

-- name: state_of
-- The state and the owner of a run.
SELECT state, owner FROM run WHERE id = :run;

-- name: left_running
-- Every attempt that was under way when the last supervisor ended.
SELECT run.id, run.attempt, job.name, run.spec, run.timeout, run.cancelling, run.trigger,
       attempt.boot_id, attempt.worker_pid, attempt.worker_ticks, attempt.child_pid, attempt.child_ticks,
       coalesce(attempt.started_at, attempt.reserved_at), run.deadline
FROM run JOIN job ON job.id = run.job JOIN attempt ON attempt.run = run.id AND attempt.attempt = run.attempt
WHERE run.state = 'running';

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

-- name: attempts
-- Every attempt of a run, first to last.
SELECT run, attempt, reserved_at, started_at, finished_at, outcome, exit_code, signal, error, worker_pid, child_pid,
       snapshot, progress, status_text, cpu_user, cpu_system, peak_memory, stdout_bytes, stderr_bytes, output_cut,
       leftovers, coalesce(io_read, 0), coalesce(io_written, 0), coalesce(context_switches, 0)
FROM attempt WHERE run = :run ORDER BY attempt;

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

-- name: ref_of_run
-- The job of a run, and the definition it was accepted under.
SELECT job, spec FROM run WHERE id = :run;

-- name: jobs_named
-- The jobs whose names are like a pattern, in force or not.
SELECT id, name FROM job WHERE name GLOB :pattern;

-- name: redefine_waiting
-- Let the runs of a job that wait go by another definition.
UPDATE run INDEXED BY run_active SET spec = :spec
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
  AND state IN ('scheduled', 'queued', 'retrying') AND spec <> :spec;

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

-- name: list_slots
-- What became of the due slots of all jobs in a span of time, newest first: only the jobs whose newest slot is among the
-- :limit newest can be in it, each with :limit slots at most, so that no more of the history is read than is told.
WITH leading AS MATERIALIZED (
  SELECT id, at FROM (
    SELECT job.id, (SELECT max(slot.at) FROM slot WHERE slot.job = job.id AND slot.at >= :start
                    AND slot.at < min(:end, :at + (job.id < :job_id))) AS at
    FROM job)
  WHERE at IS NOT NULL ORDER BY at DESC, id DESC LIMIT :limit)
SELECT job.name, slot.at, slot.disposition, slot.run, slot.reason, slot.job, run.state, run.outcome, run.exit_code
FROM leading JOIN slot ON slot.job = leading.id AND slot.at IN (
  SELECT own.at FROM slot AS own WHERE own.job = leading.id AND own.at < min(:end, :at + (own.job < :job_id))
    AND own.at >= iif((SELECT count(*) FROM leading) = :limit, (SELECT min(at) FROM leading), :start)
  ORDER BY own.at DESC LIMIT :limit)
JOIN job ON job.id = slot.job LEFT JOIN run ON run.id = slot.run
ORDER BY slot.at DESC, slot.job DESC LIMIT :limit;

-- name: list_slots_of_disposition
-- Those slots of all jobs or of one that one thing became of, newest first, in a span of time that is read whole.
SELECT job.name, slot.at, slot.disposition, slot.run, slot.reason, slot.job, run.state, run.outcome, run.exit_code
FROM job CROSS JOIN slot ON slot.job = job.id AND slot.at >= :start AND slot.at < min(:end, :at + (job.id < :job_id))
LEFT JOIN run ON run.id = slot.run
WHERE slot.disposition = :disposition AND (:job IS NULL OR job.name = :job)
ORDER BY slot.at DESC, slot.job DESC LIMIT :limit;

-- name: extent_of_slots
-- The oldest and the newest slot there are, of all jobs or of one.
SELECT min((SELECT min(at) FROM slot WHERE slot.job = job.id)), max((SELECT max(at) FROM slot WHERE slot.job = job.id))
FROM job WHERE :job IS NULL OR job.name = :job;

-- name: list_slots_of_job
-- The same for one job, along its slots.
SELECT job.name, slot.at, slot.disposition, slot.run, slot.reason, slot.job, run.state, run.outcome, run.exit_code
FROM slot JOIN job ON job.id = slot.job LEFT JOIN run ON run.id = slot.run
WHERE slot.job = (SELECT id FROM job WHERE name = :job) AND slot.at >= :start AND slot.at < :end AND slot.at < :at
ORDER BY slot.at DESC LIMIT :limit;

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

-- name: move_lane
-- Let the unfinished runs of a job stand where its limit, and what keeps it back, ask for.
UPDATE run SET lane = iif(state = 'running' OR id IS :trial OR :waits >= 0, coalesce(own_lane, :open), :waits)
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')
  AND lane <> iif(state = 'running' OR id IS :trial OR :waits >= 0, coalesce(own_lane, :open), :waits);

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

-- name: count_new
-- Count runs that were just accepted.
INSERT INTO tally (job, queue, state, runs) VALUES (?, ?, ?, ?)
ON CONFLICT (job, queue, state) DO UPDATE SET runs = runs + excluded.runs;

-- name: count_owned
-- Count runs of a submitter that were just accepted.
INSERT INTO backlog (owner, runs) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET runs = runs + excluded.runs;

-- name: forget_finished
-- Drop the figures of what was finished long ago.
DELETE FROM finished WHERE bucket < :before;

-- name: add_edge
-- Let a run wait for the end of another one.
INSERT INTO edge (parent, child, condition, hands) VALUES (?, ?, ?, ?);

-- name: open_edges
-- The undecided edges below runs, with how each parent has ended; a parent that has not is left out.
SELECT edge.parent, edge.child, edge.condition, parent.state,
       (SELECT name FROM job WHERE job.id = parent.job)
FROM json_each(:runs) AS ended CROSS JOIN edge INDEXED BY edge_open ON edge.parent = ended.value
CROSS JOIN run AS parent ON parent.id = edge.parent
WHERE edge.decision IS NULL AND parent.state IN ('succeeded', 'failed', 'cancelled', 'skipped', 'expired');

-- name: decide_edge
-- Say what became of an edge, once.
UPDATE edge SET decision = :decision WHERE parent = :parent AND child = :child AND decision IS NULL;

-- name: release
-- Let a blocked run go that waits for no other any more; where it has waited past its time, that is now.
-- So begins the time in which it must start, unless that is bound to its slot.
UPDATE run SET state = iif(run_at > :now, 'scheduled', 'queued'), run_at = max(run_at, :now),
  expires_at = iif(slot IS NULL, expires_at + max(:now - run_at, 0), expires_at)
WHERE id = :run AND state = 'blocked'
  AND NOT EXISTS (SELECT 1 FROM edge INDEXED BY edge_awaited WHERE child = :run AND decision IS NULL)
RETURNING state;

-- name: skip_run
-- End a run that was accepted and is not to be executed.
UPDATE run SET state = 'skipped', finished_at = :now, error = :error
WHERE id = :run AND state IN ('blocked', 'scheduled', 'queued')
RETURNING (SELECT name FROM job AS named WHERE named.id = run.job), queue;

-- name: broken_edges
-- The children that were cancelled because of how a run ended.
SELECT child FROM edge WHERE parent = :parent AND decision = 'cancels';

-- name: reopen_edges
-- Leave open what a run decides that is to end once more; a child that was let go stays let go. One that was cancelled
-- may come to wait again, and then for this end.
UPDATE edge SET decision = NULL
WHERE parent = :parent AND (decision IN ('fails', 'cancels') OR (decision = 'holds' AND EXISTS (
  SELECT 1 FROM run WHERE run.id = edge.child AND run.state IN ('blocked', 'cancelled'))));

-- name: pass_blame
-- Where another parent of a cancelled run did not end as it should either, that one cancels it from now on.
UPDATE edge SET decision = 'cancels' WHERE child = :child AND decision = 'fails'
  AND parent = (SELECT min(other.parent) FROM edge AS other WHERE other.child = :child AND other.decision = 'fails')
RETURNING parent;

-- name: block_again
-- Let a cancelled run wait for its parents again, where the runs of its job wait now. Where another run holds its unique
-- key by now, it stays as it is.
UPDATE run SET state = 'blocked', finished_at = NULL, outcome = NULL, exit_code = NULL, error = NULL, cancelling = 0,
  deadline = NULL, renewed_at = :now, lane = (SELECT job.lane FROM job WHERE job.id = run.job)
WHERE id = :run AND state = 'cancelled'
  AND NOT EXISTS (
    SELECT 1 FROM run AS other INDEXED BY run_unique WHERE other.unique_key = run.unique_key AND other.id <> run.id
      AND (other.unique_until IS NOT NULL OR other.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')));

-- name: renew_edges
-- Leave open again what was decided by parents that are to end once more.
UPDATE edge SET decision = NULL WHERE child = :child AND decision IN ('holds', 'fails', 'cancels')
  AND EXISTS (SELECT 1 FROM run WHERE run.id = edge.parent AND run.finished_at IS NULL);

-- name: waive_edges
-- Let a run go that an operator wants tried again, whatever its parents came to.
UPDATE edge SET decision = 'waived' WHERE child = :child AND decision IN ('fails', 'cancels');

-- name: parents_of
-- The runs that a run waited for, with what they came to.
SELECT parent.id, (SELECT name FROM job WHERE job.id = parent.job), parent.state, parent.outcome, parent.error,
       iif(edge.hands, data.result, NULL)
FROM edge INDEXED BY edge_of_child CROSS JOIN run AS parent ON parent.id = edge.parent
LEFT JOIN run_data AS data ON data.run = parent.id
WHERE edge.child = :child ORDER BY parent.id;

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

-- name: add_audit
-- Add an entry to the audit trail.
INSERT INTO audit (at, uid, user, pid, executable, did, target, result, detail, times, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: last_audit
-- What the next entry of the audit trail is linked to.
SELECT digest FROM audit ORDER BY id DESC LIMIT 1;

-- name: list_audit
-- Entries of the audit trail, newest first; of one user, or of all.
SELECT id, at, uid, user, pid, executable, did, target, result, detail, times, digest FROM audit
WHERE id < :before AND at >= :since AND (:user IS NULL OR user = :user) ORDER BY id DESC LIMIT :limit;

-- name: traced_run
-- What the spans of a run are made of.
SELECT run.id, run.created_at, run.renewed_at, data.traceparent, data.tracestate, run.trigger, run.slot,
       run.finished_at
FROM run LEFT JOIN run_data AS data ON data.run = run.id
WHERE run.id = :run;

-- name: traced_parents
-- The same of the runs that a run has waited for.
SELECT run.id, run.created_at, run.renewed_at, data.traceparent, data.tracestate, run.trigger, run.slot,
       run.finished_at
FROM edge INDEXED BY edge_of_child CROSS JOIN run ON run.id = edge.parent LEFT JOIN run_data AS data ON data.run = run.id
WHERE edge.child = :run ORDER BY edge.parent;

-- name: span_of_attempt
-- From when to when an attempt was under way.
SELECT coalesce(started_at, reserved_at), finished_at FROM attempt WHERE run = :run AND attempt = :attempt;

-- name: audit_after
-- Entries of the audit trail above a number, oldest first, to follow the chain.
SELECT id, at, uid, user, pid, executable, did, target, result, detail, times, digest FROM audit
WHERE id > :after ORDER BY id LIMIT :limit;

-- name: oldest_audit
-- The oldest entries of the audit trail that were made before an instant.
SELECT id, digest FROM audit
WHERE id < coalesce((SELECT min(id) FROM audit WHERE at >= :before), 9223372036854775807) ORDER BY id LIMIT :most;

-- name: forget_audit
-- Drop the oldest entry of the audit trail.
DELETE FROM audit WHERE id = ?;
