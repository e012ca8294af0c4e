-- The first schema: jobs and their definitions, runs, attempts, slots.
-- Instants are microseconds since 1970 (UTC), spans are seconds, sizes are bytes.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every definition a run was ever accepted under, once.
CREATE TABLE job_spec (
  id   INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  text TEXT NOT NULL
) STRICT;

-- What is remembered of a job beside its definition; job 0 stands for all ad-hoc runs.
CREATE TABLE job (
  id              INTEGER PRIMARY KEY,
  name            TEXT NOT NULL UNIQUE,
  spec            INTEGER REFERENCES job_spec (id),
  file            TEXT NOT NULL DEFAULT '',  -- where it is defined, to know whose jobs a broken file keeps in force
  first_seen_at   INTEGER NOT NULL,
  watermark       INTEGER NOT NULL,
  last_slot       INTEGER,
  removed_at      INTEGER,
  last_run        INTEGER,
  last_state      TEXT,
  last_outcome    TEXT,
  last_exit_code  INTEGER,
  last_finished_at INTEGER,
  last_success_at INTEGER,
  last_failure_at INTEGER
) STRICT;
INSERT INTO job (id, name, first_seen_at, watermark) VALUES (0, ' adhoc', 0, 0);

-- The hot row of a run; what is long and seldom read stands in run_data.
CREATE TABLE run (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  job          INTEGER NOT NULL REFERENCES job (id),
  spec         INTEGER NOT NULL REFERENCES job_spec (id),
  lane         INTEGER NOT NULL,             -- the job's id where the job has a limit of its own, else 0
  queue        TEXT NOT NULL,
  priority     INTEGER NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying',
                                              'succeeded', 'failed', 'cancelled', 'skipped', 'expired')),
  run_at       INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  started_at   INTEGER,
  finished_at  INTEGER,
  attempt      INTEGER NOT NULL DEFAULT 0,   -- number of the latest attempt; never used twice
  given_back   INTEGER NOT NULL DEFAULT 0,   -- attempts that do not count against max_attempts
  max_attempts INTEGER NOT NULL,
  trigger      TEXT NOT NULL,
  slot         INTEGER,
  timeout      REAL,
  owner        TEXT,
  parent       INTEGER,
  key          TEXT,
  cancelling   INTEGER NOT NULL DEFAULT 0,
  outcome      TEXT,
  exit_code    INTEGER,
  error        TEXT
) STRICT;
CREATE INDEX run_ready    ON run (queue, lane, priority DESC, run_at, id) WHERE state = 'queued';
CREATE INDEX run_due      ON run (run_at) WHERE state IN ('scheduled', 'retrying');
CREATE INDEX run_running  ON run (queue, lane) WHERE state = 'running';
CREATE INDEX run_active   ON run (job, state) WHERE state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying');
CREATE INDEX run_of_job   ON run (job, id);
CREATE INDEX run_finished ON run (queue, finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE run_data (
  run     INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
  payload TEXT,
  result  TEXT
) STRICT;

-- A client's idempotency key, by the SHA-256 over owner, job, queue and key.
CREATE TABLE run_key (
  digest     BLOB PRIMARY KEY,
  run        INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  held_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
  run           INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  attempt       INTEGER NOT NULL,
  reserved_at   INTEGER NOT NULL,
  started_at    INTEGER,
  finished_at   INTEGER,
  boot_id       TEXT NOT NULL,
  worker_pid    INTEGER NOT NULL,
  worker_ticks  INTEGER NOT NULL,
  child_pid     INTEGER,
  child_ticks   INTEGER,
  outcome       TEXT,
  exit_code     INTEGER,
  signal        INTEGER,
  error         TEXT,
  cpu_user      REAL,
  cpu_system    REAL,
  peak_memory   INTEGER,
  stdout_bytes  INTEGER,
  stderr_bytes  INTEGER,
  output_cut    INTEGER,
  leftovers     INTEGER,
  PRIMARY KEY (run, attempt)
) STRICT, WITHOUT ROWID;

-- An attempt that has ended never changes again.
CREATE TRIGGER attempt_is_final BEFORE UPDATE ON attempt WHEN OLD.outcome IS NOT NULL
BEGIN
  SELECT RAISE (ABORT, 'an attempt that has ended never changes');
END;

-- What became of every due slot.
CREATE TABLE slot (
  job         INTEGER NOT NULL REFERENCES job (id),
  at          INTEGER NOT NULL,
  disposition TEXT NOT NULL,
  run         INTEGER,
  reason      TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job, at)
) STRICT, WITHOUT ROWID;
