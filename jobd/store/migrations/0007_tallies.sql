-- Counting as it happens, so that nobody who looks has to count a million runs.

-- How many runs of each job stand in each queue and state. New runs, which come in batches, are counted by whoever
-- accepts them; what becomes of them is counted by triggers, so that no statement can forget it.
CREATE TABLE tally (
  job   INTEGER NOT NULL,
  queue TEXT NOT NULL,
  state TEXT NOT NULL,
  runs  INTEGER NOT NULL,
  PRIMARY KEY (job, queue, state)
) STRICT, WITHOUT ROWID;
INSERT INTO tally (job, queue, state, runs) SELECT job, queue, state, count(*) FROM run GROUP BY job, queue, state;

-- How many runs of each submitter wait.
CREATE TABLE backlog (
  owner TEXT PRIMARY KEY,
  runs  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO backlog (owner, runs) SELECT owner, count(*) FROM run
WHERE owner IS NOT NULL AND state IN ('blocked', 'scheduled', 'queued', 'retrying') GROUP BY owner;

-- What each queue finished in each five minutes; `seconds` is the time from start to end of those that started.
CREATE TABLE finished (
  queue   TEXT NOT NULL,
  state   TEXT NOT NULL,
  bucket  INTEGER NOT NULL,                  -- finished_at in units of five minutes
  runs    INTEGER NOT NULL,
  seconds REAL NOT NULL,
  PRIMARY KEY (queue, state, bucket)
) STRICT, WITHOUT ROWID;
INSERT INTO finished (queue, state, bucket, runs, seconds)
SELECT queue, state, finished_at / 300000000, count(*), coalesce(sum(finished_at - started_at) / 1e6, 0.0)
FROM run WHERE finished_at IS NOT NULL GROUP BY 1, 2, 3;
DROP INDEX run_finished;

CREATE TRIGGER run_moves AFTER UPDATE OF state ON run WHEN OLD.state <> NEW.state
BEGIN
  UPDATE tally SET runs = runs - 1 WHERE job = OLD.job AND queue = OLD.queue AND state = OLD.state;
  INSERT INTO tally (job, queue, state, runs) VALUES (NEW.job, NEW.queue, NEW.state, 1)
  ON CONFLICT (job, queue, state) DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER run_ends AFTER UPDATE OF state ON run
WHEN OLD.state <> NEW.state AND NEW.state IN ('succeeded', 'failed', 'cancelled', 'skipped', 'expired')
BEGIN
  INSERT INTO finished (queue, state, bucket, runs, seconds)
  VALUES (NEW.queue, NEW.state, NEW.finished_at / 300000000, 1, coalesce((NEW.finished_at - NEW.started_at) / 1e6, 0.0))
  ON CONFLICT (queue, state, bucket) DO UPDATE SET runs = runs + 1, seconds = seconds + excluded.seconds;
END;

CREATE TRIGGER run_waits_no_more AFTER UPDATE OF state ON run
WHEN OLD.owner IS NOT NULL AND OLD.state IN ('blocked', 'scheduled', 'queued', 'retrying')
  AND NEW.state NOT IN ('blocked', 'scheduled', 'queued', 'retrying')
BEGIN
  UPDATE backlog SET runs = runs - 1 WHERE owner = OLD.owner;
END;

CREATE TRIGGER run_waits_again AFTER UPDATE OF state ON run
WHEN OLD.owner IS NOT NULL AND OLD.state NOT IN ('blocked', 'scheduled', 'queued', 'retrying')
  AND NEW.state IN ('blocked', 'scheduled', 'queued', 'retrying')
BEGIN
  UPDATE backlog SET runs = runs + 1 WHERE owner = OLD.owner;
END;

CREATE TRIGGER run_is_forgotten AFTER DELETE ON run
BEGIN
  UPDATE tally SET runs = runs - 1 WHERE job = OLD.job AND queue = OLD.queue AND state = OLD.state;
END;
