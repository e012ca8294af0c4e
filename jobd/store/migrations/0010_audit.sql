-- The audit trail: entries are added, and forgotten from the oldest on; nothing else can be done to them.
CREATE TABLE audit (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  at         INTEGER NOT NULL,  -- microseconds since 1970
  uid        INTEGER NOT NULL,
  user       TEXT NOT NULL,
  pid        INTEGER NOT NULL,
  executable TEXT NOT NULL,
  did        TEXT NOT NULL,
  target     TEXT NOT NULL,
  result     TEXT NOT NULL CHECK (result IN ('done', 'refused', 'denied')),
  detail     TEXT NOT NULL,
  times      INTEGER NOT NULL,
  digest     BLOB NOT NULL      -- SHA-256 over the digest before it and the other columns
) STRICT;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'an entry of the audit trail cannot be changed'); END;

CREATE TRIGGER audit_goes_from_its_beginning BEFORE DELETE ON audit
WHEN old.id <> (SELECT min(id) FROM audit)
BEGIN SELECT raise(ABORT, 'only the oldest entry of the audit trail can be forgotten'); END;
