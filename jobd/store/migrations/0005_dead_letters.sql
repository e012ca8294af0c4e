-- Dead letters: runs that failed for good, kept with the reason until someone acts on them.

-- What was acted on stays as provenance: a run that was retried and failed again has two rows, one of them open.
CREATE TABLE dead_letter (
  id       INTEGER PRIMARY KEY,
  run      INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  job      INTEGER NOT NULL,
  queue    TEXT NOT NULL,                    -- the queue the run failed in
  reason   TEXT NOT NULL,
  died_at  INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  acted_at INTEGER,
  action   TEXT CHECK (action IN ('retried', 'dropped')),
  acted_by TEXT
) STRICT;
CREATE UNIQUE INDEX dead_letter_open ON dead_letter (run) WHERE acted_at IS NULL;
CREATE INDEX dead_letter_of_run ON dead_letter (run);
CREATE INDEX dead_letter_of_queue ON dead_letter (queue, job, died_at) WHERE acted_at IS NULL;
