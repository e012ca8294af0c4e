-- What keeps jobs and queues back: pauses, circuits, skipped slots; and the lanes of jobs with a limit, best run first.

ALTER TABLE job ADD COLUMN running_limit INTEGER;               -- runs under way at most, by its newest definition
ALTER TABLE job ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;   -- the rest stays, for slots that are decided later
ALTER TABLE job ADD COLUMN paused_at INTEGER;
ALTER TABLE job ADD COLUMN paused_until INTEGER;                -- null: until somebody resumes it
ALTER TABLE job ADD COLUMN paused_by TEXT;
ALTER TABLE job ADD COLUMN paused_note TEXT;
ALTER TABLE job ADD COLUMN failures INTEGER NOT NULL DEFAULT 0; -- final failures in a row
ALTER TABLE job ADD COLUMN circuit_until INTEGER;               -- null: closed; from then on one trial may go
ALTER TABLE job ADD COLUMN trial INTEGER;                       -- the run that tries whether the job works again

-- Where the runs of a job are that nothing keeps back; and where its waiting runs are: aside, while it is kept back.
ALTER TABLE job ADD COLUMN open_lane INTEGER AS (iif(running_limit IS NULL, 0, id));
ALTER TABLE job ADD COLUMN lane INTEGER
  AS (iif(paused = 0 AND circuit_until IS NULL, iif(running_limit IS NULL, 0, id), -id));
CREATE INDEX job_paused  ON job (paused_until) WHERE paused = 1;
CREATE INDEX job_circuit ON job (circuit_until) WHERE circuit_until IS NOT NULL;

-- The limits, as `running_limit` of a definition has them.
UPDATE job SET running_limit = (
  SELECT coalesce(text ->> '$.max_running',
                  iif(text ->> '$.schedule.overlap' IN ('queue', 'replace') AND text ->> '$.schedule.expressions[0]' IS NOT NULL,
                      1, NULL))
  FROM job_spec WHERE job_spec.id = job.spec AND json_valid(text));

-- What is remembered of a queue; the queue '*' stands for all of them and for the slots of all jobs.
CREATE TABLE queue (
  name         TEXT PRIMARY KEY,
  paused       INTEGER NOT NULL DEFAULT 0,
  paused_at    INTEGER,
  paused_until INTEGER,
  paused_by    TEXT,
  paused_note  TEXT
) STRICT, WITHOUT ROWID;

-- The lanes of jobs with a limit in which a run waits, each with the run that comes first. Kept by the triggers below,
-- so that the best open lanes of a queue are found without looking at any other.
CREATE TABLE lane (
  queue    TEXT NOT NULL,
  lane     INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  run_at   INTEGER NOT NULL,
  run      INTEGER NOT NULL,
  PRIMARY KEY (queue, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_order ON lane (queue, priority DESC, run_at, run);

INSERT INTO lane (queue, lane, priority, run_at, run)
SELECT queue, lane, priority, run_at, id FROM (
  SELECT *, row_number() OVER (PARTITION BY queue, lane ORDER BY priority DESC, run_at, id) AS place
  FROM run WHERE state = 'queued' AND lane > 0)
WHERE place = 1;

CREATE TRIGGER run_enters_lane AFTER INSERT ON run WHEN NEW.state = 'queued' AND NEW.lane > 0
BEGIN
  INSERT INTO lane (queue, lane, priority, run_at, run) VALUES (NEW.queue, NEW.lane, NEW.priority, NEW.run_at, NEW.id)
  ON CONFLICT (queue, lane) DO UPDATE SET priority = excluded.priority, run_at = excluded.run_at, run = excluded.run
  WHERE (-excluded.priority, excluded.run_at, excluded.run) < (-priority, run_at, run);
END;

CREATE TRIGGER run_leaves_lane AFTER UPDATE OF state, lane, queue, priority, run_at ON run
WHEN OLD.state = 'queued' AND OLD.lane > 0
BEGIN
  DELETE FROM lane WHERE queue = OLD.queue AND lane = OLD.lane AND run = OLD.id;
  INSERT INTO lane (queue, lane, priority, run_at, run)
  SELECT queue, lane, priority, run_at, id FROM run INDEXED BY run_ready
  WHERE state = 'queued' AND queue = OLD.queue AND lane = OLD.lane ORDER BY priority DESC, run_at, id LIMIT 1
  ON CONFLICT (queue, lane) DO NOTHING;
END;

CREATE TRIGGER run_moves_to_lane AFTER UPDATE OF state, lane, queue, priority, run_at ON run
WHEN NEW.state = 'queued' AND NEW.lane > 0
BEGIN
  INSERT INTO lane (queue, lane, priority, run_at, run) VALUES (NEW.queue, NEW.lane, NEW.priority, NEW.run_at, NEW.id)
  ON CONFLICT (queue, lane) DO UPDATE SET priority = excluded.priority, run_at = excluded.run_at, run = excluded.run
  WHERE (-excluded.priority, excluded.run_at, excluded.run) < (-priority, run_at, run);
END;
