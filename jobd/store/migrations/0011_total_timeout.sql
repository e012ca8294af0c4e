-- The time that all attempts of a run have together.

ALTER TABLE run ADD COLUMN deadline INTEGER;  -- when it is over; null: it has no end, or has not begun
CREATE INDEX run_deadline ON run (deadline)
  WHERE deadline IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'retrying');
