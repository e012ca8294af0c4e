-- Limits of starting: token buckets, counted resources, and what operators set of queues.

ALTER TABLE queue ADD COLUMN settings TEXT;  -- JSON of what was set in place of jobd.yaml's words; null: nothing
ALTER TABLE queue ADD COLUMN set_at   INTEGER;
ALTER TABLE queue ADD COLUMN set_by   TEXT;

-- The buckets of rate limits, `queue:NAME` and `job:ID`: how many tokens there were, and when. None is a full one.
CREATE TABLE bucket (
  name   TEXT PRIMARY KEY,
  tokens REAL NOT NULL,
  at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The limits of a job by its newest definition. Where it has any, its runs wait in a lane of their own.
ALTER TABLE job ADD COLUMN rate TEXT;
ALTER TABLE job ADD COLUMN uses TEXT;

-- The lanes of runs that were submitted with `uses` of their own.
CREATE TABLE special (
  lane INTEGER PRIMARY KEY,
  job  INTEGER NOT NULL REFERENCES job (id),
  uses TEXT NOT NULL,
  UNIQUE (job, uses)
) STRICT;
ALTER TABLE run ADD COLUMN own_lane INTEGER;  -- of `special`; null: where its job's runs are

-- What runs under way have taken of resources: free again the moment they are not under way any more.
ALTER TABLE run ADD COLUMN takes TEXT;
CREATE INDEX run_takes ON run (takes) WHERE state = 'running' AND takes IS NOT NULL;
