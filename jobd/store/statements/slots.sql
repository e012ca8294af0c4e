-- The statements of slots.py, each with a sentence. `-- name:` begins one.

-- name: job_id
-- A job by its name, in force or not.
SELECT id FROM job WHERE name = :name AND id > 0;

-- name: list_slots
-- What became of the due slots of all jobs in a span of time, newest first: only the jobs whose newest slot is among the
-- :limit newest can be in it, each with :limit slots at most, so that no more of the history is read than is told.
WITH leading AS MATERIALIZED (
  SELECT id, at FROM (
    SELECT job.id, (SELECT max(slot.at) FROM slot WHERE slot.job = job.id AND slot.at >= :start
                    AND slot.at < min(:end, :at + (job.id < :job_id))) AS at
    FROM job)
  WHERE at IS NOT NULL ORDER BY at DESC, id DESC LIMIT :limit)
SELECT job.name, slot.at, slot.disposition, slot.run, slot.reason, slot.job, run.state, run.outcome, run.exit_code
FROM leading JOIN slot ON slot.job = leading.id AND slot.at IN (
  SELECT own.at FROM slot AS own WHERE own.job = leading.id AND own.at < min(:end, :at + (own.job < :job_id))
    AND own.at >= iif((SELECT count(*) FROM leading) = :limit, (SELECT min(at) FROM leading), :start)
  ORDER BY own.at DESC LIMIT :limit)
JOIN job ON job.id = slot.job LEFT JOIN run ON run.id = slot.run
ORDER BY slot.at DESC, slot.job DESC LIMIT :limit;

-- name: list_slots_of_disposition
-- Those slots of all jobs or of one that one thing became of, newest first, in a span of time that is read whole.
SELECT job.name, slot.at, slot.disposition, slot.run, slot.reason, slot.job, run.state, run.outcome, run.exit_code
FROM job CROSS JOIN slot ON slot.job = job.id AND slot.at >= :start AND slot.at < min(:end, :at + (job.id < :job_id))
LEFT JOIN run ON run.id = slot.run
WHERE slot.disposition = :disposition AND (:job IS NULL OR job.name = :job)
ORDER BY slot.at DESC, slot.job DESC LIMIT :limit;

-- name: extent_of_slots
-- The oldest and the newest slot there are, of all jobs or of one.
SELECT min((SELECT min(at) FROM slot WHERE slot.job = job.id)), max((SELECT max(at) FROM slot WHERE slot.job = job.id))
FROM job WHERE :job IS NULL OR job.name = :job;

-- name: list_slots_of_job
-- The same for one job, along its slots.
SELECT job.name, slot.at, slot.disposition, slot.run, slot.reason, slot.job, run.state, run.outcome, run.exit_code
FROM slot JOIN job ON job.id = slot.job LEFT JOIN run ON run.id = slot.run
WHERE slot.job = (SELECT id FROM job WHERE name = :job) AND slot.at >= :start AND slot.at < :end AND slot.at < :at
ORDER BY slot.at DESC LIMIT :limit;
