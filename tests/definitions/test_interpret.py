"""What definitions mean, and the exact words in which they are refused."""

from __future__ import annotations

import json

import pytest

from jobd.core.model import (
    Calendar,
    Command,
    Expect,
    Job,
    Limits,
    Notify,
    Python,
    RetryPolicy,
    Sandbox,
    Schedule,
    Shell,
)
from jobd.definitions.interpret import Rules, check_defaults, template
from jobd.definitions.parse import parse
from jobd.definitions.work import json_schema
from tests.definitions.builders import problems, read

EVERYTHING = """\
jobs:
  nightly-backup:
    description: Dump the shop database
    enabled: false
    tags: [db, nightly]
    owner: ana
    command: [pg_dump, -Fc, shop]
    schedule: ["30 2 * * *", every 15m]
    timezone: Europe/Madrid
    dst: {gap: skip, overlap: both}
    day_match: and
    jitter: 10m
    exclude: holidays
    start_deadline: 20m
    catch_up: all
    catch_up_window: 2h
    max_catch_up: 7
    overlap: queue
    queue: backups
    priority: high
    max_running: 2
    expires: 90m
    retry: {strategy: fixed, max_attempts: 5, base: 60s, multiplier: 3, max_delay: 2h, jitter: 0.2}
    success_exit_status: [0, 3]
    retry_exit_status: 75
    no_retry_exit_status: [2]
    on_lost: retry
    timeout: 30m
    total_timeout: 2h
    kill_after: 1500ms
    user: postgres
    group: backup
    cwd: /var/backups
    env: {PGHOST: db1, EMPTY: ""}
    env_file: [/etc/default/shop, -/etc/shop.local]
    umask: 0o077
    nice: 10
    ionice: best-effort
    oom_score_adjust: 500
    limits: {memory: 512MiB, cpu: 150%, tasks: 64, io: 50, files: 64, file_size: 1GiB, core: 0, cpu_time: 10m,
             best_effort: true}
    sandbox:
      no_new_privileges: true
      private_tmp: true
      read_only_root: true
      read_write_paths: [/srv]
      no_network: true
      drop_capabilities: [CAP_NET_RAW, chown]
    stdin: hello
    allow_background: true
    isolate: true
    on_shutdown: detach
    payload: {tables: [a, null], deep: {x: null}}
    output: {max: 512KiB, on_limit: kill}
    expect: {max_time_since_success: 26h, late_after: 10m, max_runtime: 2h}
    notify: {on: [failure, success], via: [ops, hc], repeat_after: 2h}
"""


RESTING = Rules(
    channels=("hc", "ops"), calendars=(Calendar("other"), Calendar("holidays", (("2026-12-24", "2026-12-26"),)))
)


def test_every_key_arrives_in_the_job() -> None:
    found = read(EVERYTHING, rules=RESTING)
    assert found["nightly-backup"].job == Job(
        name="nightly-backup",
        action=Command(("pg_dump", "-Fc", "shop")),
        description="Dump the shop database",
        enabled=False,
        tags=("db", "nightly"),
        owner="ana",
        schedule=Schedule(
            expressions=("30 2 * * *", "every 15m"),
            timezone="Europe/Madrid",
            dst_gap="skip",
            dst_overlap="both",
            day_match="and",
            jitter_seconds=600.0,
            exclude=RESTING.calendars[1:],
            start_deadline_seconds=1200.0,
            catch_up="all",
            catch_up_window_seconds=7200.0,
            max_catch_up=7,
            overlap="queue",
        ),
        queue="backups",
        priority=10,
        max_running=2,
        expires_seconds=5400.0,
        retry=RetryPolicy("fixed", 5, 60.0, 3.0, 7200.0, 0.2),
        success_exit_status=(0, 3),
        retry_exit_status=(75,),
        no_retry_exit_status=(2,),
        on_lost="retry",
        timeout_seconds=1800.0,
        total_timeout_seconds=7200.0,
        kill_after_seconds=1.5,
        user="postgres",
        group="backup",
        cwd="/var/backups",
        env=(("PGHOST", "db1"), ("EMPTY", "")),
        env_files=("/etc/default/shop", "-/etc/shop.local"),
        umask=0o077,
        nice=10,
        ionice="best-effort:4",
        oom_score_adjust=500,
        limits=Limits(64, 1 << 30, 0, 600.0, True, 512 << 20, 1.5, 64, 50),
        sandbox=Sandbox(
            no_new_privileges=True,
            private_tmp=True,
            read_only_root=True,
            read_write_paths=("/srv",),
            no_network=True,
            drop_capabilities=("chown", "net_raw"),
        ),
        stdin="hello",
        isolate=True,
        allow_background=True,
        on_shutdown="detach",
        payload={"tables": ["a", None], "deep": {"x": None}},
        output_max_bytes=512 * 1024,
        output_on_limit="kill",
        expect=Expect(93600.0, 600.0, 7200.0),
        notify=Notify(("failure", "success"), ("ops", "hc"), 7200.0),
    )


def test_a_job_that_says_only_what_to_run_has_the_defaults_of_the_model() -> None:
    assert read("jobs: {a: {command: x}}")["a"].job == Job("a", Command(("x",)))


@pytest.mark.parametrize(
    ("words", "action"),
    [
        ("command: rsync -a '/my files/' \"b c\"", Command(("rsync", "-a", "/my files/", "b c"))),
        ("command: [echo, '$HOME; rm', '${payload.x}']", Command(("echo", "$HOME; rm", "${payload.x}"))),
        ("shell: echo $HOME | wc", Shell("echo $HOME | wc")),
        ("python: shop.jobs:nightly", Python("shop.jobs:nightly")),
        ("python: shop:Class.method", Python("shop:Class.method")),
    ],
)
def test_there_are_three_ways_to_say_what_runs(words: str, action: object) -> None:
    assert read(f"jobs:\n  a:\n    {words}\n")["a"].job.action == action


GOLDEN: list[tuple[str, str]] = [
    ("timeout: soon", 'f.yaml:4:14: jobs.a.timeout: "soon" is not a duration (try 30s or 5m)'),
    ("timeout: [1]", "f.yaml:4:14: jobs.a.timeout: a list is not a duration (try 30s or 5m)"),
    ("timeout: true", "f.yaml:4:14: jobs.a.timeout: true is not a duration (try 30s or 5m)"),
    ("timeout: -1", "f.yaml:4:14: jobs.a.timeout: -1 is out of range for a duration (0 to 100 years)"),
    ("timeot: 5m", 'f.yaml:4:5: jobs.a.timeot: unknown key, did you mean "timeout"?'),
    ("retry: {strategi: none}", 'f.yaml:4:13: jobs.a.retry.strategi: unknown key, did you mean "strategy"?'),
    (
        "retry: {zzz: none}",
        "f.yaml:4:13: jobs.a.retry.zzz: unknown key"
        " (allowed: base, jitter, max_attempts, max_delay, multiplier, strategy)",
    ),
    ("retry: 3", "f.yaml:4:12: jobs.a.retry: 3 is not a mapping (write key: value below it)"),
    ("retry: {max_attempts: 0}", "f.yaml:4:27: jobs.a.retry.max_attempts: 0 is out of range (1 to 10000)"),
    ("retry: {max_attempts: 1.5}", "f.yaml:4:27: jobs.a.retry.max_attempts: 1.5 is not a whole number (1 to 10000)"),
    ("retry: {jitter: 2}", "f.yaml:4:21: jobs.a.retry.jitter: 2 is out of range (0 to 1)"),
    ("retry: {jitter: some}", 'f.yaml:4:21: jobs.a.retry.jitter: "some" is not a number (0 to 1)'),
    ("enabled: yes", 'f.yaml:4:14: jobs.a.enabled: "yes" is a text in YAML 1.2, not a boolean (write true or false)'),
    ('enabled: "true"', 'f.yaml:4:14: jobs.a.enabled: "true" is a text, not a boolean (take the quotes away)'),
    ("enabled: 1", "f.yaml:4:14: jobs.a.enabled: 1 is not a boolean (write true or false)"),
    ("description: 8080", 'f.yaml:4:18: jobs.a.description: 8080 is not a text (put it in quotes: "8080")'),
    ("description: [a]", "f.yaml:4:18: jobs.a.description: a list is not a text"),
    (
        "overlap: skp",
        'f.yaml:4:14: jobs.a.overlap: "skp" is not one of skip, queue, replace, allow, did you mean "skip"?',
    ),
    ("overlap: 7", "f.yaml:4:14: jobs.a.overlap: 7 is not one of skip, queue, replace, allow"),
    ("catch_up: true", "f.yaml:4:15: jobs.a.catch_up: true is not one of skip, latest, all"),
    ("tags: db", 'f.yaml:4:11: jobs.a.tags: "db" is not a list (write [a, b])'),
    (
        "tags: [a b]",
        'f.yaml:4:12: jobs.a.tags[0]: "a b" is not a name'
        " (1 to 128 letters, digits, '.', '_', '-'; a letter or digit first)",
    ),
    ("priority: 101", "f.yaml:4:15: jobs.a.priority: 101 is not a priority (low, medium, high, or -100 to 100)"),
    (
        "priority: urgent",
        'f.yaml:4:15: jobs.a.priority: "urgent" is not a priority (low, medium, high, or -100 to 100)',
    ),
    ("umask: 022", 'f.yaml:4:12: 022 is ambiguous (write 0o22 for octal, 22, or "022")'),
    ("umask: 22", 'f.yaml:4:12: jobs.a.umask: 22 is not a file mode mask (write 0o022 or "022")'),
    ('umask: "1777"', 'f.yaml:4:12: jobs.a.umask: "1777" is not a file mode mask (write 0o022 or "022")'),
    ("env: {PORT: 8080}", 'f.yaml:4:17: jobs.a.env.PORT: 8080 is not a text (put it in quotes: "8080")'),
    (
        "env: {A B: x}",
        'f.yaml:4:16: jobs.a.env.A B: "A B" is not a name of a variable (letters, digits and _, no digit first)',
    ),
    (
        "env: {JOBD_RUN_ID: x}",
        "f.yaml:4:24: jobs.a.env.JOBD_RUN_ID: JOBD_RUN_ID is set by jobd itself (use another name)",
    ),
    ("env: [A=b]", "f.yaml:4:10: jobs.a.env: a list is not a mapping (write key: value below it)"),
    ("cwd: tmp", 'f.yaml:4:10: jobs.a.cwd: "tmp" is not an absolute path (start it with /)'),
    ("nice: 20", "f.yaml:4:11: jobs.a.nice: 20 is out of range (-20 to 19)"),
    ("success_exit_status: [0, 256]", "f.yaml:4:30: jobs.a.success_exit_status[1]: 256 is out of range (0 to 255)"),
    ("output: {max: lots}", 'f.yaml:4:19: jobs.a.output.max: "lots" is not a size (try 512KiB or 1GiB)'),
    ("schedule: 61 * * * *", 'f.yaml:4:15: jobs.a.schedule: "61" is out of range for the minute (0 to 59)'),
    ("schedule: 5", 'f.yaml:4:15: jobs.a.schedule: 5 is not a text (put it in quotes: "5")'),
    ("start_deadline: 0", "f.yaml:4:21: jobs.a.start_deadline: 0 is too short (at least 1s)"),
    ("jitter: some", 'f.yaml:4:13: jobs.a.jitter: "some" is not a duration (try 30s or 5m)'),
    (
        "exclude: [holidays]",
        'f.yaml:4:15: jobs.a.exclude[0]: "holidays" is not a calendar of jobd.yaml (calendars there: none)',
    ),
    ("timezone: Mars/Base", 'f.yaml:4:15: jobs.a.timezone: "Mars/Base" is not a time zone (use an IANA name'),
    (
        "email: {to: x}",
        "f.yaml:2:3: jobs.a: gives command and email, and can have only one (null takes one away)",
    ),
    ("env_file: shop.env", 'f.yaml:4:15: jobs.a.env_file: "shop.env" is not an absolute path (start it with /'),
    (
        "ionice: fast",
        'f.yaml:4:13: jobs.a.ionice: "fast" is not an I/O class (idle, best-effort or realtime with :0 to :7 after it',
    ),
    ("limits: {files: 2}", "f.yaml:4:21: jobs.a.limits.files: 2 is out of range (8 to"),
    ("limits: {cpu: 2}", "f.yaml:4:19: jobs.a.limits.cpu: 2 is not a share of the CPU (try 50%, or 200% for two CPUs"),
    ("limits: {memory: 4K}", 'f.yaml:4:22: jobs.a.limits.memory: "4K" is too little memory for any program'),
    ("limits: {tasks: 0}", "f.yaml:4:21: jobs.a.limits.tasks: 0 is out of range (1 to"),
    ("limits: {core: big}", 'f.yaml:4:20: jobs.a.limits.core: "big" is not a size (try 512KiB or 1GiB)'),
    ("limits: {file: 1}", 'f.yaml:4:14: jobs.a.limits.file: unknown key, did you mean "files"?'),
    ("oom_score_adjust: 1001", "f.yaml:4:23: jobs.a.oom_score_adjust: 1001 is out of range (-1000 to 1000)"),
    ("sandbox: strictly", "f.yaml:4:14: jobs.a.sandbox: "),
    (
        "sandbox: {strict: true, private_tmp: true}",
        "f.yaml:4:5: jobs.a.sandbox: private_tmp is part of strict: true already",
    ),
    (
        "sandbox: strict\n    allow_background: true",
        "f.yaml:5:23: jobs.a.allow_background: sandbox: strict lets nothing live on",
    ),
    ("sandbox: {private_tmp: 1}", "f.yaml:4:28: jobs.a.sandbox.private_tmp: "),
    ("sandbox: {tmp: true}", "f.yaml:4:15: jobs.a.sandbox.tmp: unknown key"),
    ("sandbox: {read_write_paths: [/srv]}", "f.yaml:4:5: jobs.a.sandbox: read_write_paths are exceptions from"),
    (
        "sandbox: {read_only_root: true, read_write_paths: [srv]}",
        'f.yaml:4:56: jobs.a.sandbox.read_write_paths[0]: "srv" is not an',
    ),
    (
        "sandbox: {drop_capabilities: [flying]}",
        'f.yaml:4:34: jobs.a.sandbox.drop_capabilities: "flying" is not a capability (see capabilities(7)',
    ),
    ("notify: {on: [failure]}", "f.yaml:4:13: jobs.a.notify: names no channel (give via: one or more channels of"),
    ("notify: {on: [fail], via: [ops]}", 'f.yaml:4:19: jobs.a.notify.on[0]: "fail" is not one of attempt_failure,'),
    ("queue: jobd.notify", 'f.yaml:4:12: jobs.a.queue: "jobd.notify" is kept for jobd'),
    ("expect: {}", "f.yaml:4:5: jobs.a.expect: expects nothing (give max_time_since_success, late_after or max"),
]


@pytest.mark.parametrize(("words", "said"), GOLDEN)
def test_a_wrong_value_is_refused_with_its_place_and_what_is_allowed(words: str, said: str) -> None:
    (problem,) = problems(f"jobs:\n  a:\n    command: x\n    {words}\n")
    assert problem.startswith(said)


@pytest.mark.parametrize(
    "expression",
    ["30 2 30 2 *", "@boot 5m", "after", "at 2026-12-32T18:00", "* * * * * * *", "every", "every 0s", "tomorrow", ""],
)
def test_a_schedule_that_cannot_be_due_is_an_error_at_load(expression: str) -> None:
    (problem,) = problems(f'jobs:\n  a:\n    command: x\n    schedule: ["@hourly", "{expression}"]\n')
    assert problem.startswith("f.yaml:4:27: jobs.a.schedule[1]: ")


def test_days_that_never_meet_are_an_error_at_load_where_both_must_match() -> None:
    (problem,) = problems("jobs:\n  a:\n    command: x\n    schedule: 0 0 30 2 1\n    day_match: and\n")
    assert problem.startswith("f.yaml:4:15: jobs.a.schedule: ")
    assert "can never be due" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "jobs:\n  a: {timeout: 1m}\n",
            "f.yaml:2:3: jobs.a: says nothing to run (give one of command, shell, ",
        ),
        (
            "jobs:\n  a: {command: x, shell: y}\n",
            "f.yaml:2:3: jobs.a: gives command and shell, and can have only one (null takes one away)",
        ),
        ("jobs:\n  a: {command: []}\n", "f.yaml:2:16: jobs.a.command: is empty (give a program and its arguments)"),
        ("jobs:\n  a: {shell: ' '}\n", "f.yaml:2:14: jobs.a.shell: is empty (give a text for /bin/sh)"),
        (
            "jobs:\n  a: {command: 'x \"y'}\n",
            'f.yaml:2:16: jobs.a.command: "x "y" cannot be split into words: No closing quotation (or write a list)',
        ),
        ("jobs:\n  a: {python: os.system}\n", 'f.yaml:2:15: jobs.a.python: "os.system" is not a callable'),
        ("jobs:\n  a:\n", "f.yaml:2:5: jobs.a: null is not a mapping (write command: … below it)"),
        ("jobs:\n  a: /bin/true\n", 'f.yaml:2:6: jobs.a: "/bin/true" is not a mapping (write command: … below it)'),
        ("jobs:\n  ../x: {command: x}\n", 'f.yaml:2:3: jobs: "../x" cannot name a job (1 to 128 letters'),
        ('jobs:\n  "a\\nb": {command: x}\n', 'f.yaml:2:3: jobs: "a\\nb" cannot name a job'),
        ("jobs: [a]\n", "f.yaml:1:7: jobs: a list is not a mapping of names to jobs"),
        ("- a\n", "f.yaml:1:1: a list is not a mapping (start with jobs:)"),
        ("just text\n", 'f.yaml:1:1: "just text" is not a mapping (start with jobs:)'),
        ("job:\n  a: {command: x}\n", 'f.yaml:1:1: job: unknown key, did you mean "jobs"?'),
        ("defaults: 3\njobs: {a: {command: x}}\n", "f.yaml:1:11: defaults: 3 is not a mapping"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(text: str, said: str) -> None:
    assert problems(text)[0].startswith(said)
    assert len(problems(text)) == 1


def test_every_problem_of_a_file_is_reported_at_once_in_order() -> None:
    text = "jobs:\n  a: {command: x, timeout: soon, nice: 99}\n  b: {}\n  c: {comand: y}\n"
    assert [problem.split(": ")[1] for problem in problems(text)] == [
        "jobs.a.timeout", "jobs.a.nice", "jobs.b", "jobs.c.comand",
    ]  # fmt: skip


def test_a_problem_of_defaults_is_reported_once_and_where_it_stands() -> None:
    text = "defaults: {timeout: soon}\njobs:\n  a: {command: x}\n  b: {command: y}\n"
    assert problems(text) == ['f.yaml:1:21: defaults.timeout: "soon" is not a duration (try 30s or 5m)']


def defaults(text: str) -> Rules:
    node = parse(text.encode(), "jobd.yaml")
    assert node is not None
    assert not check_defaults(node, "defaults")
    return Rules(defaults=node)


def test_jobs_lie_over_the_defaults_of_their_file_over_those_of_the_configuration() -> None:
    rules = defaults("{timeout: 1h, nice: 5, retry: {max_attempts: 3, base: 1s}, env: {A: a, B: b}}")
    text = "defaults: {nice: 6, retry: {base: 2s}}\njobs: {a: {command: x, env: {B: c}, retry: {jitter: 0}}}\n"
    job = read(text, rules=rules)["a"].job
    assert (job.timeout_seconds, job.nice, job.env) == (3600.0, 6, (("A", "a"), ("B", "c")))
    assert (job.retry.max_attempts, job.retry.base_seconds, job.retry.jitter) == (3, 2.0, 0.0)


def test_null_resets_to_what_jobd_does_by_itself_but_is_data_in_a_payload() -> None:
    rules = defaults("{nice: 5, env: {A: a}}")
    job = read("jobs: {a: {command: x, nice: null, env: {A: null}, payload: {k: null}}}", rules=rules)["a"].job
    assert (job.nice, job.env, job.payload) == (0, (), {"k": None})


def test_drop_ins_override_scalars_merge_maps_replace_lists_and_reset_with_null() -> None:
    base = "jobs:\n  a: {command: [x, y], nice: 1, env: {A: a, B: b}, tags: [p, q], timeout: 1m}\n  b: {command: z}\n"
    first = "jobs:\n  a: {nice: 2, env: {B: c}, tags: [r]}\n  c: {shell: new}\n"
    second = "jobs:\n  a: {nice: 3, timeout: null}\n  b: null\n"
    jobs = read(base, first, second)
    job = jobs["a"].job
    assert (job.nice, job.env, job.tags, job.timeout_seconds) == (3, (("A", "a"), ("B", "c")), ("r",), 3600.0)
    assert job.action == Command(("x", "y"))
    assert jobs.keys() == {"a", "c"}


def test_sources_name_the_file_and_line_of_every_effective_value() -> None:
    rules = defaults("\n{timezone: Europe/Madrid}")
    base = "jobs:\n  a:\n    command: [x]\n    retry:\n      base: 1s\n    env: {A: a}\n    payload: {k: 1}\n"
    one = read(base, "\njobs:\n  a:\n    nice: 4\n    env: {A: b}\n", rules=rules)["a"]
    assert one.sources == {
        "timezone": "jobd.yaml:2",
        "command": "f.yaml:3",
        "retry.base": "f.yaml:5",
        "env.A": "d1.yaml:5",
        "payload": "f.yaml:7",
        "nice": "d1.yaml:4",
    }
    assert one.document == {
        "timezone": "Europe/Madrid", "command": ["x"], "retry": {"base": "1s"},
        "env": {"A": "b"}, "payload": {"k": 1}, "nice": 4,
    }  # fmt: skip


def test_a_job_read_again_from_its_own_document_is_the_same() -> None:
    one = read(EVERYTHING, rules=RESTING)["nightly-backup"]
    again = read(json.dumps({"jobs": {"nightly-backup": one.document}}), rules=RESTING)["nightly-backup"]
    assert again.job == one.job


def test_a_problem_in_a_drop_in_names_the_drop_in() -> None:
    assert problems("jobs: {a: {command: x}}", "jobs:\n  a:\n    nice: 99\n") == [
        "d1.yaml:3:11: jobs.a.nice: 99 is out of range (-20 to 19)"
    ]


@pytest.mark.parametrize(
    ("words", "rules", "said"),
    [
        ("shell: x", Rules(allow_shell=False), "f.yaml:3:12: jobs.a.shell: policy.allow_shell is false (use command:)"),
        (
            "{command: x, user: root}",
            Rules(run_as_allowed=("www-data",)),
            'f.yaml:3:24: jobs.a.user: policy.run_as_allowed does not allow "root" (www-data)',
        ),
        (
            "{command: x, queue: mail}",
            Rules(queues=frozenset({"email"})),
            'f.yaml:3:25: jobs.a.queue: "mail" is not declared in jobd.yaml (email)',
        ),
        (
            "{command: x, payload: abcdefgh}",
            Rules(max_payload_bytes=8),
            "f.yaml:3:27: jobs.a.payload: 10B is more than policy.max_payload (8B)",
        ),
    ],
)
def test_what_the_policy_forbids_is_refused_at_load(words: str, rules: Rules, said: str) -> None:
    assert problems(f"jobs:\n  a:\n    {words}\n", rules=rules) == [said]


def test_the_template_of_ad_hoc_runs_carries_the_defaults() -> None:
    job = template(defaults("{timeout: 5m, schedule: '@hourly', retry: {max_attempts: 2}}").defaults)
    assert (job.timeout_seconds, job.retry.max_attempts, job.schedule.expressions) == (300.0, 2, ())


def test_the_json_schema_names_every_key_and_no_other() -> None:
    schema = json.loads(json.dumps(json_schema()))
    job = schema["$defs"]["Job"]
    assert job["additionalProperties"] is False
    assert {"command", "schedule", "retry", "payload", "timeout"} <= job["properties"].keys()
    used = set(json.dumps(schema).split('"#/$defs/')[1:])
    assert {one.split('"')[0] for one in used} <= schema["$defs"].keys()


def test_an_unknown_channel_is_refused_with_the_one_that_was_meant() -> None:
    rules = Rules(channels=("hook", "oncall"))
    said = problems("jobs: {a: {command: x, notify: {via: [oncal, x]}}}\n", rules=rules)
    assert said == [
        'f.yaml:1:32: jobs.a.notify: "oncal" is not a channel of jobd.yaml (did you mean "oncall"?)',
        'f.yaml:1:32: jobs.a.notify: "x" is not a channel of jobd.yaml (channels there: hook, oncall)',
    ]


def test_names_of_notifications_are_nobody_elses() -> None:
    (said,) = problems("jobs: {jobd.notify.ops: {command: x}}\n")
    assert "is kept for jobd's own notifications" in said


def test_an_unknown_calendar_is_refused_with_the_one_that_was_meant() -> None:
    rules = Rules(calendars=(Calendar("holidays"), Calendar("inventory")))
    (said,) = problems("defaults: {exclude: [holiday]}\njobs: {a: {command: x}, b: {command: y}}\n", rules=rules)
    assert said == (
        'f.yaml:1:22: jobs.a.exclude[0]: "holiday" is not a calendar of jobd.yaml, did you mean "holidays"?'
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [("idle", "idle"), ("3", "best-effort:3"), ("best-effort", "best-effort:4"), ("realtime:0", "realtime:0")],
)
def test_an_io_class_may_be_said_short(said: str, meant: str) -> None:
    assert read(f"jobs: {{a: {{command: x, ionice: {said}}}}}")["a"].job.ionice == meant


def test_editors_know_that_a_sandbox_may_be_one_word() -> None:
    schema = json_schema()
    for model in ("Job", "Defaults"):
        assert {"const": "strict"} in schema["$defs"][model]["properties"]["sandbox"]["anyOf"]
