-- What an attempt used beside time and memory; null for attempts of before.

ALTER TABLE attempt ADD COLUMN io_read INTEGER;          -- bytes from disks
ALTER TABLE attempt ADD COLUMN io_written INTEGER;       -- bytes to disks
ALTER TABLE attempt ADD COLUMN context_switches INTEGER;
