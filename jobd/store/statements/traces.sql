-- The statements of traces.py, each with a sentence. `-- name:` begins one.

-- name: traced_run
-- What the spans of a run are made of.
SELECT run.id, run.created_at, run.renewed_at, data.traceparent, data.tracestate, run.trigger, run.slot,
       run.finished_at
FROM run LEFT JOIN run_data AS data ON data.run = run.id
WHERE run.id = :run;

-- name: traced_parents
-- The same of the runs that a run has waited for.
SELECT run.id, run.created_at, run.renewed_at, data.traceparent, data.tracestate, run.trigger, run.slot,
       run.finished_at
FROM edge INDEXED BY edge_of_child CROSS JOIN run ON run.id = edge.parent LEFT JOIN run_data AS data ON data.run = run.id
WHERE edge.child = :run ORDER BY edge.parent;

-- name: span_of_attempt
-- From when to when an attempt was under way.
SELECT coalesce(started_at, reserved_at), finished_at FROM attempt WHERE run = :run AND attempt = :attempt;
