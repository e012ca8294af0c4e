-- The statements of reservation.py, each with a sentence. `-- name:` begins one.

-- name: promote
-- Let runs wait for a worker whose time has come, at most so many at once.
UPDATE run SET state = 'queued'
WHERE id IN (SELECT id FROM run WHERE state IN ('scheduled', 'retrying') AND run_at <= :now ORDER BY run_at LIMIT :most)
  AND state IN ('scheduled', 'retrying')
RETURNING id;

-- name: set_deadline
-- Let the time of all attempts of a run begin with its first; when it is over.
UPDATE run SET deadline = coalesce(deadline, :deadline) WHERE id = :run AND state = 'running' RETURNING deadline;

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

-- name: head
-- Whose runs come first in a lane, in the order in which they are reserved.
SELECT (SELECT name FROM job WHERE job.id = run.job) FROM run INDEXED BY run_ready
WHERE state = 'queued' AND queue = :queue AND lane = :lane ORDER BY priority DESC, run_at, id LIMIT :most;

-- name: open_attempt
-- Write down that an attempt is about to start, and in which worker.
INSERT INTO attempt (run, attempt, reserved_at, boot_id, worker_pid, worker_ticks) VALUES (?, ?, ?, ?, ?, ?);
