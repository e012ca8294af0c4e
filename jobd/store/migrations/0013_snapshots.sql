-- What /proc told of the processes of an attempt at the moment SIGKILL was due.

ALTER TABLE attempt ADD COLUMN snapshot TEXT;  -- JSON, a list for each process; null: there was no SIGKILL
