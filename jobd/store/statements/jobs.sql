-- The statements of jobs.py, each with a sentence. `-- name:` begins one.

-- name: add_spec
-- Keep a definition, unless it is kept already.
INSERT INTO job_spec (hash, text) VALUES (:hash, :text) ON CONFLICT (hash) DO NOTHING;

-- name: spec_id
-- Find a kept definition by its hash.
SELECT id FROM job_spec WHERE hash = :hash;

-- name: spec_text
-- Read a kept definition.
SELECT text FROM job_spec WHERE id = :id;

-- name: adopt_job
-- Put a job in force: a new one owes nothing before now, a known one keeps its watermark.
INSERT INTO job (name, spec, file, first_seen_at, watermark, boot_id, running_limit, rate, uses)
VALUES (:name, :spec, :file, :now, :now, :boot, :limit, :rate, :uses)
ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, file = excluded.file, removed_at = NULL,
  running_limit = excluded.running_limit, rate = excluded.rate, uses = excluded.uses
RETURNING id;

-- name: reset_watermark
-- Let a job whose schedule changed or that came back owe nothing before now.
UPDATE job SET watermark = max(watermark, :now), first_seen_at = :now, last_slot = NULL, next_slot = NULL,
  boot_id = :boot
WHERE name = :name;

-- name: remove_job
-- Take a job out of force; its history and accepted runs stay.
UPDATE job SET removed_at = :now WHERE name = :name AND removed_at IS NULL;

-- name: jobs_in_force
-- Every job in force with its file and the text of its definition, as the last supervisor left them.
SELECT job.name, job.file, job_spec.text, job.id, job.spec FROM job JOIN job_spec ON job_spec.id = job.spec
WHERE job.removed_at IS NULL;

-- name: timing
-- What planning needs to know of one job.
SELECT first_seen_at, watermark, last_slot, ended_at, boot_id, next_slot FROM job WHERE id = :job;

-- name: note_circuit
-- Remember how the circuit of a job stands.
UPDATE job SET failures = :failures, circuit_until = :until, trial = :trial WHERE id = :job;

-- name: timings
-- What planning needs to know of every job in force.
SELECT id, name, first_seen_at, watermark, last_slot, ended_at, boot_id, next_slot FROM job
WHERE removed_at IS NULL AND id > 0;

-- name: restand
-- Move all that is known of the slots of a job along with a clock that was set back.
UPDATE job SET first_seen_at = :first_seen_at, watermark = :watermark, last_slot = :last_slot, ended_at = :ended_at
WHERE id = :job;

-- name: move_watermark
-- No slot at or before this instant fires any more, and none of this start of the host; the next one is to be this.
UPDATE job SET watermark = :watermark, last_slot = coalesce(:last_slot, last_slot), next_slot = :next_slot,
  boot_id = :boot
WHERE id = :job;

-- name: note_next_slot
-- Remember the next slot of a job as it is computed now.
UPDATE job SET next_slot = :next_slot WHERE id = :job;

-- name: active_runs
-- The runs of a job that wait or run, oldest first; the last column marks those of slots that never started.
SELECT id, state = 'running', slot IS NOT NULL AND attempt = 0 FROM run INDEXED BY run_active
WHERE job = :job AND state IN ('blocked', 'scheduled', 'queued', 'running', 'retrying') ORDER BY id;

-- name: skip_slot
-- Write down that the run of a slot was not accepted.
UPDATE slot SET disposition = 'skipped', reason = :reason, run = NULL
WHERE job = :job AND at = :at AND disposition = 'started';

-- name: add_slot
-- Write down what became of a due slot; a slot that is there already stays as it is.
INSERT INTO slot (job, at, disposition, run, reason) VALUES (:job, :at, :disposition, :run, :reason)
ON CONFLICT (job, at) DO NOTHING;

-- name: decided
-- The newest slots of a job in a span of time that are written down.
SELECT at FROM slot WHERE job = :job AND at >= :start AND at <= :now ORDER BY at DESC LIMIT :most;
