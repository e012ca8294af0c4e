-- What somebody was told of a job: so that what goes on is told of again only after a while, and its end once.
CREATE TABLE notice (
  job      INTEGER NOT NULL REFERENCES job (id),
  occasion TEXT NOT NULL,
  first_at INTEGER NOT NULL,
  told_at  INTEGER,              -- null: nobody was
  untold   INTEGER NOT NULL,     -- how often it happened since
  PRIMARY KEY (job, occasion)
) STRICT, WITHOUT ROWID;
