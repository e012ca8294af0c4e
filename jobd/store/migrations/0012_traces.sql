-- The trace that a run is part of (W3C Trace Context), as its submitter gave it.
ALTER TABLE run_data ADD COLUMN traceparent TEXT;
ALTER TABLE run_data ADD COLUMN tracestate TEXT;
