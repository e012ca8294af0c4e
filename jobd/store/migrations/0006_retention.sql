-- Forgetting old runs: what hangs on a run is found by the run.
CREATE INDEX run_key_of_run ON run_key (run);
