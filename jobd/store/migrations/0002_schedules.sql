-- What slots of events and deadlines of runs need: ends of runs, starts of the host, when a run is too late to start.

ALTER TABLE job ADD COLUMN next_slot INTEGER;  -- as it was computed last: tells when another tzdata or croniter moves it
ALTER TABLE job ADD COLUMN boot_id   TEXT;     -- the host's start up to which @boot is decided
ALTER TABLE job ADD COLUMN ended_at  INTEGER;  -- when its last run ended, moved along when the clock is set back
UPDATE job SET ended_at = last_finished_at;

ALTER TABLE run ADD COLUMN expires_at INTEGER; -- a run that never started by then never starts
CREATE INDEX run_expiring ON run (expires_at)
  WHERE expires_at IS NOT NULL AND state IN ('blocked', 'scheduled', 'queued', 'retrying');
