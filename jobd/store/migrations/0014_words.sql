-- What an attempt last said of itself while it ran.

ALTER TABLE attempt ADD COLUMN progress REAL;     -- 0 to 1; null: it said nothing of it
ALTER TABLE attempt ADD COLUMN status_text TEXT;  -- null: it said nothing
