-- What jobs are late with (`expect`): kept until it holds again, so that a restart tells nobody a second time.
CREATE TABLE late (
  job   INTEGER NOT NULL REFERENCES job (id),
  kind  TEXT NOT NULL,      -- the check that fails
  since INTEGER NOT NULL,
  run   INTEGER,            -- null where it is about no run in particular
  PRIMARY KEY (job, kind)
) STRICT, WITHOUT ROWID;
