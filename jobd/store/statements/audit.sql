-- The statements of audit.py, each with a sentence. `-- name:` begins one.

-- name: note_meta
-- Remember a fact about the file itself.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: add_audit
-- Add an entry to the audit trail.
INSERT INTO audit (at, uid, user, pid, executable, did, target, result, detail, times, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: last_audit
-- What the next entry of the audit trail is linked to.
SELECT digest FROM audit ORDER BY id DESC LIMIT 1;

-- name: oldest_audit
-- The oldest entries of the audit trail that were made before an instant.
SELECT id, digest FROM audit
WHERE id < coalesce((SELECT min(id) FROM audit WHERE at >= :before), 9223372036854775807) ORDER BY id LIMIT :most;

-- name: forget_audit
-- Drop the oldest entry of the audit trail.
DELETE FROM audit WHERE id = ?;
