-- When a run that was final was last made to wait again, by hand or by its parents: its spans tell its lives apart.
ALTER TABLE run ADD COLUMN renewed_at INTEGER;
