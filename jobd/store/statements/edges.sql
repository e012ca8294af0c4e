-- The statements of edges.py, each with a sentence. `-- name:` begins one.

-- name: add_edge
-- Let a run wait for the end of another one.
INSERT INTO edge (parent, child, condition, hands) VALUES (?, ?, ?, ?);

-- name: open_edges
-- The undecided edges below runs, with how each parent has ended; a parent that has not is left out.
SELECT edge.parent, edge.child, edge.condition, parent.state,
       (SELECT name FROM job WHERE job.id = parent.job)
FROM json_each(:runs) AS ended CROSS JOIN edge INDEXED BY edge_open ON edge.parent = ended.value
CROSS JOIN run AS parent ON parent.id = edge.parent
WHERE edge.decision IS NULL AND parent.state IN ('succeeded', 'failed', 'cancelled', 'skipped', 'expired');

-- name: decide_edge
-- Say what became of an edge, once.
UPDATE edge SET decision = :decision WHERE parent = :parent AND child = :child AND decision IS NULL;

-- name: release
-- Let a blocked run go that waits for no other any more; where it has waited past its time, that is now.
-- So begins the time in which it must start, unless that is bound to its slot.
UPDATE run SET state = iif(run_at > :now, 'scheduled', 'queued'), run_at = max(run_at, :now),
  expires_at = iif(slot IS NULL, expires_at + max(:now - run_at, 0), expires_at)
WHERE id = :run AND state = 'blocked'
  AND NOT EXISTS (SELECT 1 FROM edge INDEXED BY edge_awaited WHERE child = :run AND decision IS NULL)
RETURNING state;

-- name: broken_edges
-- The children that were cancelled because of how a run ended.
SELECT child FROM edge WHERE parent = :parent AND decision = 'cancels';

-- name: reopen_edges
-- Leave open what a run decides that is to end once more; a child that was let go stays let go. One that was cancelled
-- may come to wait again, and then for this end.
UPDATE edge SET decision = NULL
WHERE parent = :parent AND (decision IN ('fails', 'cancels') OR (decision = 'holds' AND EXISTS (
  SELECT 1 FROM run WHERE run.id = edge.child AND run.state IN ('blocked', 'cancelled'))));

-- name: pass_blame
-- Where another parent of a cancelled run did not end as it should either, that one cancels it from now on.
UPDATE edge SET decision = 'cancels' WHERE child = :child AND decision = 'fails'
  AND parent = (SELECT min(other.parent) FROM edge AS other WHERE other.child = :child AND other.decision = 'fails')
RETURNING parent;

-- name: block_again
-- Let a cancelled run wait for its parents again, where the runs of its job wait now. Where another run holds its unique
-- key by now, it stays as it is.
UPDATE run SET state = 'blocked', finished_at = NULL, outcome = NULL, exit_code = NULL, error = NULL, cancelling = 0,
  deadline = NULL, renewed_at = :now, lane = (SELECT job.lane FROM job WHERE job.id = run.job)
WHERE id = :run AND state = 'cancelled'
  AND NOT EXISTS (
    SELECT 1 FROM run AS other INDEXED BY run_unique WHERE other.unique_key = run.unique_key AND other.id <> run.id
      AND (other.unique_until IS NOT NULL OR other.state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying')));

-- name: renew_edges
-- Leave open again what was decided by parents that are to end once more.
UPDATE edge SET decision = NULL WHERE child = :child AND decision IN ('holds', 'fails', 'cancels')
  AND EXISTS (SELECT 1 FROM run WHERE run.id = edge.parent AND run.finished_at IS NULL);

-- name: waive_edges
-- Let a run go that an operator wants tried again, whatever its parents came to.
UPDATE edge SET decision = 'waived' WHERE child = :child AND decision IN ('fails', 'cancels');

-- name: parents_of
-- The runs that a run waited for, with what they came to.
SELECT parent.id, (SELECT name FROM job WHERE job.id = parent.job), parent.state, parent.outcome, parent.error,
       iif(edge.hands, data.result, NULL)
FROM edge INDEXED BY edge_of_child CROSS JOIN run AS parent ON parent.id = edge.parent
LEFT JOIN run_data AS data ON data.run = parent.id
WHERE edge.child = :child ORDER BY parent.id;
