"""What holds of every store between two transactions, as SQL over the file: each statement finds what breaks it."""

from __future__ import annotations

import apsw

WAITING = "('blocked', 'scheduled', 'queued', 'retrying')"
DAY = 24 * 3600 * 1_000_000

BROKEN = {
    "I2: of the submits with one idempotency key within 24 h one made a run": f"""
        SELECT first.id, second.id FROM run AS first JOIN run AS second USING (owner, job, queue, key)
        WHERE first.id < second.id AND abs(second.created_at - first.created_at) < {DAY}""",
    "I5: a run has ended exactly when its state is final": """
        SELECT id, state FROM run WHERE (finished_at IS NOT NULL)
          <> (state IN ('succeeded', 'failed', 'cancelled', 'skipped', 'expired'))""",
    "I6, I19: a run counts the attempts that it has": """
        SELECT id FROM run WHERE attempt <> (SELECT count(*) FROM attempt WHERE attempt.run = run.id)
          OR given_back > attempt OR attempt - given_back > max_attempts""",
    "I7: attempts are numbered from 1 without gaps": """
        SELECT run FROM attempt GROUP BY run HAVING min(attempt) <> 1 OR max(attempt) <> count(*)""",
    "I8: a run that succeeded did so in its last attempt": """
        SELECT id FROM run WHERE state = 'succeeded' AND 'succeeded' IS NOT (
          SELECT outcome FROM attempt WHERE attempt.run = run.id AND attempt.attempt = run.attempt)""",
    "I9: a dead letter is open of failed runs only, and says how often they were tried": """
        SELECT dead.run FROM dead_letter AS dead JOIN run ON run.id = dead.run
        WHERE acted_at IS NULL AND (run.state <> 'failed' OR dead.attempts <> run.attempt - run.given_back
                                    OR dead.queue <> run.queue)""",
    "I9: a run that failed has a dead letter, open or dropped, where its definition keeps any": """
        SELECT run.id FROM run JOIN job_spec ON job_spec.id = run.spec
        WHERE state = 'failed' AND coalesce(text ->> '$.dead_letter', 1)
          AND NOT EXISTS (SELECT 1 FROM dead_letter AS dead WHERE dead.run = run.id AND action IS NOT 'retried')""",
    "I11: a run is running exactly when its last attempt, and no other, is open": """
        SELECT id FROM run WHERE (state = 'running') <> EXISTS (
          SELECT 1 FROM attempt WHERE attempt.run = run.id AND attempt.attempt = run.attempt AND outcome IS NULL)
        UNION ALL
        SELECT run FROM attempt WHERE outcome IS NULL GROUP BY run HAVING count(*) > 1""",
    "I15: a slot has one run, and a run one slot, as long as that is remembered": """
        SELECT job, slot FROM run WHERE slot IS NOT NULL GROUP BY job, slot HAVING count(*) > 1
        UNION ALL
        SELECT run.job, run.slot FROM run JOIN slot ON slot.job = run.job AND slot.at = run.slot
        WHERE slot.run IS NOT run.id""",
    "I18, I20: what is counted as it happens is what there is": """
        SELECT job, queue, state, sum(n) FROM (
          SELECT job, queue, state, count(*) AS n FROM run GROUP BY 1, 2, 3
          UNION ALL SELECT job, queue, state, -runs FROM tally)
        GROUP BY 1, 2, 3 HAVING sum(n) <> 0""",
    "I18: who has how many runs waiting is what there is": f"""
        SELECT owner, sum(n) FROM (
          SELECT owner, count(*) AS n FROM run WHERE owner IS NOT NULL AND state IN {WAITING} GROUP BY 1
          UNION ALL SELECT owner, -runs FROM backlog)
        GROUP BY 1 HAVING sum(n) <> 0""",
    "I21: a blocked run waits for a parent that has not ended": """
        SELECT id FROM run WHERE state = 'blocked' AND NOT EXISTS (
          SELECT 1 FROM edge JOIN run AS parent ON parent.id = edge.parent
          WHERE edge.child = run.id AND edge.decision IS NULL AND parent.finished_at IS NULL)""",
    "I21: an edge is decided in the transaction that ends its parent": """
        SELECT edge.parent, edge.child FROM edge JOIN run AS parent ON parent.id = edge.parent
        WHERE decision IS NULL AND parent.finished_at IS NOT NULL""",
    "I21: a run that waits for a worker, or has one, waits for no parent any more": """
        SELECT edge.parent, edge.child FROM edge JOIN run AS child ON child.id = edge.child
        WHERE decision IS NULL
          AND child.state IN ('scheduled', 'queued', 'running', 'retrying', 'succeeded', 'failed')""",
    "lanes: a waiting run stands where its job's limit and pause ask for": f"""
        SELECT run.id, run.lane, job.lane FROM run JOIN job ON job.id = run.job
        WHERE state IN {WAITING} AND run.lane <> job.lane AND job.trial IS NOT run.id""",
    "lanes: the first run of each lane is what is remembered as such": """
        SELECT queue, lane, priority, run_at, id FROM (
          SELECT *, row_number() OVER (PARTITION BY queue, lane ORDER BY priority DESC, run_at, id) AS place
          FROM run WHERE state = 'queued' AND lane > 0) WHERE place = 1
        EXCEPT SELECT queue, lane, priority, run_at, run FROM lane""",
    "lanes: no lane is remembered in which nothing waits": """
        SELECT queue, lane FROM lane EXCEPT SELECT queue, lane FROM run WHERE state = 'queued' AND lane > 0""",
    "I26: an attempt ends after it began": """
        SELECT run, attempt FROM attempt WHERE finished_at < reserved_at OR finished_at < started_at""",
}
"""By the ids of the fault plan where it has one; I1, I3, I4, I10, I14, I16, I17 and I22 are the model's to hold."""


def broken(base: apsw.Connection, *, but: frozenset[str] = frozenset()) -> dict[str, list[tuple[object, ...]]]:
    """Everything that does not hold, with the first rows that break it; `but` are ids that are not asked for."""
    found = {}
    for name, sql in BROKEN.items():
        if name.partition(":")[0] in but:
            continue
        rows = base.execute(f"SELECT * FROM ({sql}) LIMIT 5").fetchall()
        if rows:
            found[name] = rows
    return found


def is_whole(base: apsw.Connection) -> bool:
    """I24: the file is sound, and every reference leads somewhere."""
    sound = base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return sound and base.execute("PRAGMA foreign_key_check").fetchall() == []
