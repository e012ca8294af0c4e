-- Unique runs: whose key is taken is decided by this index alone.

ALTER TABLE run ADD COLUMN unique_key BLOB;      -- SHA-256 over what must not be there twice; null where anything goes
ALTER TABLE run ADD COLUMN unique_until INTEGER; -- the key holds until then whatever the run's state; null: until it is final
CREATE UNIQUE INDEX run_unique ON run (unique_key)
  WHERE unique_key IS NOT NULL
    AND (unique_until IS NOT NULL OR state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying'));
