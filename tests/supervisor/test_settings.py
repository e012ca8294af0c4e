"""The main configuration: every default, every refusal with its place, and where paths lead."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from jobd.core.model import Calendar
from jobd.core.retention import Retention
from jobd.core.roles import Role
from jobd.definitions.problems import Malformed
from jobd.supervisor.settings import Settings, Tracing, load

ROOT = Path(__file__).parents[2]
HOME = {"HOME": "/home/ana"}


def read(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "jobd.yaml"
    path.write_text(text)
    return load(str(path), environ=environ)


def refused(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(Malformed) as caught:
        read(tmp_path, text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_without_a_file_everything_is_default() -> None:
    found = load(user=True, environ={"HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/run/user/7"})
    assert found == Settings(
        config=None,
        jobs_dirs=("/nonexistent/.config/jobd/jobs.d",),
        state_dir="/nonexistent/.local/state/jobd",
        runtime_dir="/run/user/7/jobd",
        socket="/run/user/7/jobd/jobd.sock",
        socket_mode=0o660,
        socket_group=None,
        roles={},
        adhoc="submitter",
        metrics_listen=None,
        workers_max=16,
        idle_timeout_seconds=60.0,
        max_attempts_per_worker=1000,
        synchronous="full",
        retention=Retention(),
        drain_timeout_seconds=60.0,
        defaults=None,
        queues={},
        rates={},
        resources={},
        calendars=(),
        run_as_allowed=("*",),
        allow_shell=True,
        shell_allowlist=(),
        max_payload_bytes=65536,
        max_queued_per_user=100_000,
        max_submits_per_second=None,
        strict_queues=False,
        python_path=(),
        http_deny=("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"),
        smtp={
            "host": "localhost",
            "port": 25,
            "tls": "off",
            "user": None,
            "password_file": None,
            "from": "jobd@localhost",
        },
        channels=(),
        sinks={},
        tracing=None,
        log_level="info",
        log_format="text",
        mask=("password", "token", "secret"),
    )


def test_the_shipped_file_is_accepted_and_says_what_is_default_anyway(tmp_path: Path) -> None:
    shipped = load(str(ROOT / "etc" / "jobd.yaml"), environ={})
    empty = read(tmp_path, "")
    assert shipped == Settings(
        **{name: getattr(empty, name) for name in Settings.__slots__} | {"config": shipped.config}
    )
    assert shipped.jobs_dirs == ("/usr/lib/jobd/jobs.d", "/run/jobd/jobs.d", "/etc/jobd/jobs.d")
    assert (shipped.state_dir, shipped.runtime_dir, shipped.socket) == (
        "/var/lib/jobd", "/run/jobd", "/run/jobd/jobd.sock",
    )  # fmt: skip
    assert shipped.socket_group == "jobd"


def test_what_the_shipped_file_shows_as_comments_is_accepted_too(tmp_path: Path) -> None:
    lines = (ROOT / "etc" / "jobd.yaml").read_text().splitlines()
    keys = (
        "jobs_dirs:",
        "state_dir:",
        "runtime_dir:",
        "defaults:",
        "queues:",
        "  default:",
        "python_path:",
        "calendars:",
        "  holidays:",
    )
    shown = [line.removeprefix("# ") if line.removeprefix("# ").startswith(keys) else line for line in lines]
    assert shown != lines
    found = read(tmp_path, "\n".join(shown))
    assert found.queues == {"default": 8}
    assert [calendar.name for calendar in found.calendars] == ["holidays"]
    assert found.template().schedule.timezone == "Europe/Madrid"


def test_every_key_that_is_built_arrives(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
jobs_dirs: [jobs.d, /etc/jobd/jobs.d, ../more]
state_dir: state
runtime_dir: run
control: {socket: ctl/x.sock, mode: "0600", group: adm, adhoc: off}
metrics: {listen: "[::1]:0"}
workers: {max: 4, idle_timeout: 5m, max_attempts_per_worker: 10}
store: {synchronous: normal}
drain_timeout: 2m
defaults: {timeout: 5m}
queues: {default: {max_running: 8}, email: {}, slow: {max_running: 1, rate_limit: null}}
policy: {run_as_allowed: [ana], allow_shell: false, max_payload: 1KiB, max_queued_per_user: 5, strict_queues: true}
calendars: {holidays: {dates: [2026-12-25, 2026-12-31/2027-01-06]}, none: {dates: []}}
python_path: [lib]
logging: {level: debug, mask: [pin]}
smtp: null
roles: {operator: {users: [ana], groups: [adm, "*"]}, viewer: {}}
shell_allowlist: [ls, /bin/echo]
""",
    )
    assert found.jobs_dirs == (f"{tmp_path}/jobs.d", "/etc/jobd/jobs.d", str(tmp_path.parent / "more"))
    assert (found.state_dir, found.runtime_dir) == (f"{tmp_path}/state", f"{tmp_path}/run")
    assert (found.socket, found.socket_mode, found.socket_group) == (f"{tmp_path}/ctl/x.sock", 0o600, "adm")
    assert (found.adhoc, found.metrics_listen, found.workers_max) == ("off", ("::1", 0), 4)
    assert (found.idle_timeout_seconds, found.max_attempts_per_worker, found.synchronous) == (300.0, 10, "normal")
    assert found.queues == {"default": 8, "email": None, "slow": 1}
    days = (("2026-12-25", "2026-12-25"), ("2026-12-31", "2027-01-06"))
    assert found.rules.calendars == (Calendar("holidays", days), Calendar("none"))
    assert (found.python_path, found.log_level, found.mask) == ((f"{tmp_path}/lib",), "debug", ("pin",))
    assert found.roles == {Role.OPERATOR: (("ana",), ("adm", "*")), Role.VIEWER: ((), ())}
    assert found.allowlist.entries == found.shell_allowlist == ("ls", "/bin/echo")
    assert found.database == f"{tmp_path}/state/jobd.db"
    assert found.template().timeout_seconds == 300.0
    rules = found.rules
    assert (rules.allow_shell, rules.run_as_allowed, rules.max_payload_bytes) == (False, ("ana",), 1024)
    assert rules.queues == {"default", "email", "slow"}


def test_tracing_names_a_collector_and_files_beside_the_settings(tmp_path: Path) -> None:
    text = "tracing: {endpoint: 'http://[::1]:4318', sample: 0.25, headers_file: key, ca_file: /etc/ca.pem}\n"
    assert read(tmp_path, text).tracing == Tracing("http://[::1]:4318", "jobd", 0.25, f"{tmp_path}/key", "/etc/ca.pem")
    assert read(tmp_path, "tracing: null\n").tracing is None


@pytest.mark.parametrize("text", ["metrics: null", "metrics:", "metrics: {listen: null}"])
def test_null_turns_metrics_off(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"{text}\n").metrics_listen is None


def test_the_socket_lies_in_the_runtime_directory_unless_it_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, "runtime_dir: r\n").socket == f"{tmp_path}/r/jobd.sock"
    assert read(tmp_path, "runtime_dir: r\ncontrol: {socket: /x.sock}\n").socket == "/x.sock"
    assert read(tmp_path, "control: {socket: /x.sock}\n", JOBD_SOCKET="/y.sock").socket == "/y.sock"


def test_the_environment_names_the_file_and_the_argument_beats_it(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("drain_timeout: 1\n")
    (tmp_path / "two.yaml").write_text("drain_timeout: 2\n")
    environ = {"JOBD_CONFIG": str(tmp_path / "one.yaml")}
    assert load(environ=environ).drain_timeout_seconds == 1
    assert load(str(tmp_path / "two.yaml"), environ=environ).drain_timeout_seconds == 2


def test_xdg_variables_place_a_users_files_and_relative_ones_are_passed_over(tmp_path: Path) -> None:
    environ = {**HOME, "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": "relative", "XDG_RUNTIME_DIR": "/run/user/9"}
    found = load(user=True, environ=environ)
    assert found.jobs_dirs == (f"{tmp_path}/jobd/jobs.d",)
    assert found.state_dir == "/home/ana/.local/state/jobd"
    assert found.socket == "/run/user/9/jobd/jobd.sock"


GOLDEN = [
    ("jobs_dir: [a]\n", ['jobd.yaml:1:1: jobs_dir: unknown key, did you mean "jobs_dirs"?']),
    ("control: {mod: x}\n", ['jobd.yaml:1:11: control.mod: unknown key, did you mean "mode"?']),
    ("control: {mode: 660}\n", ['jobd.yaml:1:17: control.mode: 660 is not a file mode (write "0660")']),
    ("control: {mode: 0660}\n", ['jobd.yaml:1:17: 0660 is ambiguous (write 0o660 for octal, 660, or "0660")']),
    (
        "control: {adhoc: everyone}\n",
        ['jobd.yaml:1:18: control.adhoc: "everyone" is not one of off, admin, operator, submitter'],
    ),
    (
        "metrics: {listen: 9764}\n",
        ["jobd.yaml:1:19: metrics.listen: 9764 is not an address (write 127.0.0.1:9764, [::1]:9764, or null)"],
    ),
    (
        "metrics: {listen: 'localhost:99999'}\n",
        [
            'jobd.yaml:1:19: metrics.listen: "localhost:99999" is not an address'
            " (write 127.0.0.1:9764, [::1]:9764, or null)"
        ],
    ),
    (
        "queues: {email: {max_runing: 1}}\n",
        ['jobd.yaml:1:18: queues.email.max_runing: unknown key, did you mean "max_running"?'],
    ),
    (
        "queues: {email: {rate_limit: often}}\n",
        ['jobd.yaml:1:30: queues.email.rate_limit: "often": not a rate limit (try 10/sec, 100/min or 5/hour)'],
    ),
    (
        "defaults: {timeout: soon, email: {}}\ndrain_timeout: never\n",
        [
            'jobd.yaml:1:21: defaults.timeout: "soon" is not a duration (try 30s or 5m)',
            "jobd.yaml:1:27: defaults.email: lacks subject",
            "jobd.yaml:1:27: defaults.email: lacks to",
            'jobd.yaml:2:16: drain_timeout: "never" is not a duration (try 30s or 5m)',
        ],
    ),
    (
        "smtp: {host: mail.example.org, user: jobs, password_file: mail.pass}\n",
        ["jobd.yaml:1:1: smtp: a password would go out in clear (set tls: starttls or tls: tls)"],
    ),
    (
        "smtp: {port: 0, from: nobody}\n",
        [
            "jobd.yaml:1:14: smtp.port: 0 is out of range (1 to 65535)",
            'jobd.yaml:1:23: smtp.from: "nobody" is not an address (write jobd@example.org)',
        ],
    ),
    (
        "calendars: {rest: {dates: [2026-02-30]}}\n",
        [
            'jobd.yaml:1:28: calendars.rest.dates[0]: "2026-02-30" is not a day'
            " (write 2026-12-25, or 2026-12-24/2027-01-06 for several days)"
        ],
    ),
    (
        "calendars: {rest: [2026-12-25]}\n",
        ["jobd.yaml:1:19: calendars.rest: a list is not a mapping (write key: value below it)"],
    ),
    ("store: {synchronous: off}\n", ['jobd.yaml:1:22: store.synchronous: "off" is not one of full, normal']),
    ("tracing: {}\n", ["jobd.yaml:1:1: tracing: endpoint is missing (it has no default)"]),
    (
        "tracing: {endpoint: localhost, sample: 2}\nsinks: {otel: null}\n",
        [
            'jobd.yaml:1:21: tracing.endpoint: "localhost" is not an http(s) address without a password',
            "jobd.yaml:1:40: tracing.sample: 2 is not a share (write a number from 0 to 1)",
            "jobd.yaml:2:1: sinks: otel is jobd's own: set tracing: {endpoint: …} instead",
        ],
    ),
    ("workers: 4\n", ["jobd.yaml:1:10: workers: 4 is not a mapping (write key: value below it)"]),
    ("- a\n", ["jobd.yaml:1:1: a list is not a mapping (write key: value)"]),
    (
        "policy: {http_deny: [x]}\n",
        ['jobd.yaml:1:22: policy.http_deny[0]: "x" is not a network (write 169.254.0.0/16)'],
    ),
]


@pytest.mark.parametrize(("text", "said"), GOLDEN)
def test_what_is_wrong_is_refused_with_its_place(tmp_path: Path, text: str, said: list[str]) -> None:
    assert refused(tmp_path, text) == said


CHANNELS = """
channels:
  ops: {email: {to: ops@example.org, smtp: "localhost:2525"}, title: "${job}: ${occasion}"}
  hook: {webhook: {url: "https://example.org/jobd", secret_file: /etc/jobd/hook.key}, digest: false}
  hc: {healthcheck: {url: "https://hc.example.org/ping/UUID"}}
  pager: {command: [page, "${payload.title}"], rate_limit: 5/hour}
  chat: {apprise: {urls_file: /etc/jobd/chat}, timeout: 20s}
"""


def test_channels_are_read_and_known_to_definitions(tmp_path: Path) -> None:
    made = read(tmp_path, CHANNELS)
    found = {channel.name: channel for channel in made.channels}
    assert {name: channel.kind for name, channel in found.items()} == {
        "ops": "email",
        "hook": "webhook",
        "hc": "healthcheck",
        "pager": "command",
        "chat": "apprise",
    }
    assert found["ops"].options["to"] == ["ops@example.org"]
    assert found["ops"].options["smtp"]["port"] == 2525
    assert found["pager"].options == {"argv": ["page", "${payload.title}"]}
    assert made.rules.channels == ("ops", "hook", "hc", "pager", "chat")
    assert made.queues["jobd.notify"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels: {ops: {}}", "channels.ops: is of no kind (give one of email, webhook"),
        ("channels: {ops: {email: {to: x}}}", 'channels.ops.email.to: "x" is not an address'),
        ("channels: {ops: {command: [a], apprise: {urls: x}}}", "channels.ops: is command and apprise (give one"),
        ("channels: {hc: {healthcheck: {}}}", "channels.hc.healthcheck: goes nowhere or to two places"),
        (
            "channels: {a: {command: [a], title: '${whatever}'}}",
            "channels.a.title: ${whatever} is nothing that messages",
        ),
        ("channels: {a b: {command: [a]}}", "is not a name of a channel"),
    ],
)
def test_a_channel_that_goes_nowhere_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = refused(tmp_path, f"{text}\n")
    assert said in problem


def test_the_url_of_a_channel_is_not_told_where_it_is_wrong(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "channels: {hc: {healthcheck: {url: 'ftp://hc.example.org/SECRET'}}}\n")
    assert "the url is not a URL of http:// or https://" in problem
    assert "SECRET" not in problem


def test_retention_has_the_documented_defaults_and_null_is_for_ever(tmp_path: Path) -> None:
    assert read(tmp_path, "drain_timeout: 1\n").retention == Retention(
        timedelta(days=30), timedelta(days=90), 1, 1024**3
    )
    kept = read(tmp_path, "retention: {succeeded: null, failed: 2d, keep_last: 0, output_max: null}\n").retention
    assert kept == Retention(None, timedelta(days=2), 0, None)


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=r"none\.yaml: does not exist"):
        load(str(tmp_path / "none.yaml"), environ={})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobd.yaml"
    path.write_text("drain_timeout: 1\n")
    path.chmod(0o666)
    with pytest.raises(Malformed, match=r"can be written by others, mode 0666"):
        load(str(path), environ={})
    path.chmod(0o600)
    os.chown(path, 12345, 0)
    with pytest.raises(Malformed, match="belongs to user 12345"):
        load(str(path), environ={})
