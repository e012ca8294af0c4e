-- Workflow: which run waits for the end of which other run, and what became of each wait.

CREATE TABLE edge (
  parent    INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  child     INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  condition TEXT NOT NULL CHECK (condition IN ('success', 'failure', 'always')),
  hands     INTEGER NOT NULL DEFAULT 1,      -- whether the child is given the parent's result
  decision  TEXT CHECK (decision IN (
    'holds',                                 -- the parent ended as the child needs it
    'cancels',                               -- it did not, and the child was cancelled for it
    'fails',                                 -- it did not, and the child had ended already
    'waived')),                              -- it did not, and an operator let the child go all the same
  PRIMARY KEY (parent, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_of_child ON edge (child);
-- Only what is undecided: a run that nobody waits for costs one look into a small index when it ends.
CREATE INDEX edge_open ON edge (parent, child) WHERE decision IS NULL;
CREATE INDEX edge_awaited ON edge (child) WHERE decision IS NULL;

-- A run that waits for others does not expire meanwhile, unless its time is bound to its slot.
DROP INDEX run_expiring;
CREATE INDEX run_expiring ON run (expires_at)
  WHERE expires_at IS NOT NULL
    AND (state IN ('scheduled', 'queued', 'retrying') OR (state = 'blocked' AND slot IS NOT NULL));
