"""What each key of a definition is for, in a sentence: for editors (the JSON Schema) and for jobd-jobs(5)."""

from __future__ import annotations

TEXTS = {
    "Circuit.failures": "Final failures in a row that open the circuit.",
    "Circuit.cooldown": "How long the circuit stays open before one run may try.",
    "Output.max": "Captured bytes of an attempt that are kept: head and tail.",
    "Output.on_limit": "What happens where an attempt writes more: the middle is cut out, or the attempt is ended.",
    "Retry.strategy": "none, fixed (base each time) or exponential (longer by multiplier, up to max_delay).",
    "Retry.max_attempts": "All attempts of a run; where nothing is said 1 of scheduled runs and 3 of submitted ones.",
    "Retry.base": "The delay before the second attempt.",
    "Retry.multiplier": "How much longer each delay is than the one before.",
    "Retry.max_delay": "The longest delay.",
    "Retry.jitter": "The share of a delay by which chance makes it longer or shorter.",
    "Job.description": "What the job is for, in the words of whoever wrote it.",
    "Job.enabled": "false: nothing fires, and nothing can be submitted.",
    "Job.tags": "Words to find the job by.",
    "Job.owner": "A user who has an operator's rights on the job and its runs.",
    "Job.jitter": "Each slot is late by up to so long; always the same for one job.",
    "Job.start_deadline": "A slot's run that has not started so long after it is due never starts: it is expired.",
    "Job.catch_up": "What becomes of slots missed while jobd was down: skip all, the latest, or all of them.",
    "Job.catch_up_window": "The latest slot is caught up where it is no older than this.",
    "Job.max_catch_up": "With catch_up: all, so many at most.",
    "Job.overlap": "A slot while the last run goes on: skip it, queue one, replace the old run, or allow both.",
    "Job.queue": "The queue its runs wait in.",
    "Job.priority": "low (-10), medium (0), high (10), or -100 to 100; the higher is served first.",
    "Job.max_running": "Runs of the job at the same time at most.",
    "Job.rate_limit": "Starts at most so often: 100/min, 5/sec, or {rate: 100/min, burst: 10}.",
    "Job.uses": "Resources of jobd.yaml that a run holds while it runs, and how much of each.",
    "Job.expires": "A run that has not started so long after its submit never starts.",
    "Job.retry": "How failed attempts are tried again.",
    "Job.success_exit_status": "Exit codes that are success too, beside 0.",
    "Job.retry_exit_status": "Only these exit codes are tried again.",
    "Job.no_retry_exit_status": "These exit codes are never tried again.",
    "Job.circuit_breaker": "Rest after failures in a row.",
    "Job.on_lost": "An attempt that was lost in a crash: retry it (submitted runs) or fail it (scheduled ones).",
    "Job.dead_letter": "Whether a run that failed for good waits as a dead letter until somebody acts on it.",
    "Job.timeout": "How long an attempt may take; 0 is for ever.",
    "Job.kill_after": "From SIGTERM to SIGKILL.",
    "Job.user": "Whom it runs as; the user jobd runs as where nothing is said.",
    "Job.group": "Its primary group; the user's own where nothing is said.",
    "Job.cwd": "Its working directory.",
    "Job.env": "Variables of its environment.",
    "Job.umask": "The umask it starts with, as 0o022 or '022'.",
    "Job.stdin": "Text for its standard input.",
    "Job.allow_background": "Processes it leaves behind go on after it has ended.",
    "Job.isolate": "A Python job in a process of its own instead of a warm worker.",
    "Job.on_shutdown": "What becomes of its attempt when jobd ends: wait for it, stop it, requeue it, or detach it.",
    "Job.nice": "Its CPU priority, -20 (most) to 19.",
    "Job.limits": "Limits of its processes; what cannot be applied refuses the attempt.",
    "Job.sandbox": "What its processes are kept from; what cannot be applied refuses the attempt.",
    "Sandbox.read_write_paths": "With read_only_root: directories and files that stay writable.",
    "Job.payload": "The payload of runs that bring none.",
    "Job.output": "How much of its output is kept.",
}
"""`Model.key` → sentence; `Defaults` has what `Job` has. Keys that their models describe are not here."""

_OF_THE_KIND = ("A duration", "A size")


def described(schema: dict[str, object]) -> dict[str, object]:
    """The schema with a sentence for every key that has none but that of its kind, which stays behind it."""
    models = schema["$defs"]
    assert isinstance(models, dict)
    for name, model in models.items():
        for key, value in model.get("properties", {}).items():
            text = TEXTS.get(f"{'Job' if name == 'Defaults' else name}.{key}")
            kind = value.get("description", "")
            if text is not None and (not kind or kind.startswith(_OF_THE_KIND)):
                value["description"] = f"{text} {kind}".strip()
    return schema
