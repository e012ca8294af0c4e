"""What masking finds and spoils on a set that it was not made for, and what it costs.

The held-out set is never used to better the patterns: what it shows is what to expect of text nobody has seen.
What must stay is source of Python's own library, lines from all over it.
"""

from __future__ import annotations

import sysconfig
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.table import Line
from jobd.core.masking import Masker

_TURN = 8 * 1024
_RANDOM_HEX = "7c1f09be52d84a63b0e7"
HELD_OUT = [
    ("MAIL_PASSWORD: 'Tr0ub4dor&3'", "Tr0ub4dor&3"),
    ("amqp://guest:r4bb1tPw@mq.internal:5672/%2f", "r4bb1tPw"),
    ("redis://:f00barbaz@10.0.0.7:6379/0", "f00barbaz"),
    (f'  "refresh_token" : "{_RANDOM_HEX}",', _RANDOM_HEX),
    ("wget --http-password=qwe123rty http://localhost/x", "qwe123rty"),
    ("export GITHUB_TOKEN=gho_" + "Zx9Qw8Er7Ty6Ui5Op4As3Df2Gh1Jk0LmNbVc", "Zx9Qw8Er7Ty6Ui5Op4As3Df2Gh1Jk0LmNbVc"),
    ("signing with ASIA" + "Y34FZKBOKMUTVV7A", "Y34FZKBOKMUTVV7A"),
    ("slack said xoxp-" + "2345-6789-abcdefghij", "abcdefghij"),
    ("Proxy-Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l", "YWxhZGRpbjpvcGVuc2VzYW1l"),
    ("[mysqld] user=app passwd=L0ngAndStrange", "L0ngAndStrange"),
    ("Server=db;User Id=sa;Pwd=Adm1nPw!;Encrypt=yes", "Adm1nPw!"),
    ("X-Vault-Token: hvs." + "CAESIJx7h3nq8Zk2m1v0c9b8a7s6d5f4", "CAESIJx7h3nq8Zk2m1v0c9b8a7s6d5f4"),
    ("Traceback: login(user='bob', password='xkcd-936')", "xkcd-936"),
    ("ftp://deploy:s%40cret@files.example.org/up", "s%40cret"),
    ("$ htpasswd -b users bob b0bsPass", "b0bsPass"),
    ("AWS_SESSION_TOKEN=FwoGZXIvYXdzEBYaDHqa0AP", "FwoGZXIvYXdzEBYaDHqa0AP"),
    ("kubectl create secret generic db --from-literal=pw=S3cretValue", "S3cretValue"),
    ("the one-time code is 493817", "493817"),
    ('jwt_secret = "keyboardcat99"', "keyboardcat99"),
    ("Digest username=bob, response=6629fae49393a05397450978507c4ef1", "6629fae49393a05397450978507c4ef1"),
]
_HOSTILE = [
    *(
        b"curl ",
        b"password=",
        b"password=${",
        b"sk-",
        b"eyeyey.",
        b"ey",
        b"-ey",
        b"cookie: a",
        b"authorization: digest ",
    ),
    *(
        b"://a:",
        b"bearer a",
        b"token='",
        b'token=\\"',
        b"basic a",
        b"<token>",
        b"-----BEGIN PRIVATE KEY-----",
        b"--token ",
    ),
    *(b"mysql -", b"A1b", b"secret: {", b"x.ghp_", b"identified by '"),
]
_LOG = (
    b"2026-03-01 12:00:00 INFO worker 3 finished the table orders: 12345 rows in 0.42 s, next at 12:05 on host db-1\n"
)


def measure() -> list[Line]:
    masker = Masker(["password", "token", "secret"])
    missed = [text for text, secret in HELD_OUT if secret in masker.text(text)]
    spoilt, lines = _spoilt(masker)
    recall = 1 - len(missed) / len(HELD_OUT)
    found = [
        Line("secrets masked, held out", f"{recall:.0%} of {len(HELD_OUT)}", aim=">= 80%", met=recall >= 0.8),
        Line(
            "lines of Python's library spoilt",
            f"{spoilt / lines:.2%} of {lines:,}",
            aim="<= 1%",
            met=spoilt <= lines * 0.01,
        ),
    ]
    for size, data in (("one line of a log", _LOG), ("4 KB of a log", _LOG * 36)):
        found.append(_cost(f"masking {size}", masker, data))
        found.append(_cost(f"masking {size}, 3 secrets known", masker.knowing(_values()), data))
    worst = max(_seconds(masker, _repeated(piece)) for piece in _HOSTILE)
    found.append(Line("masking 64 KiB made to be slow", f"{worst * 1e3:.0f} ms", "the worst of its kind"))
    turn = max(_longest_turn(masker, _repeated(piece)) for piece in _HOSTILE)
    found.append(Line("longest turn of it", f"{turn * 1e3:.1f} ms", "for a piece of 8 KiB, as output is handed out"))
    return found


def _seconds(masker: Masker, data: bytes) -> float:
    start = time.perf_counter()
    masker.mask(data)
    return time.perf_counter() - start


def _longest_turn(masker: Masker, data: bytes) -> float:
    """The processor time for which anybody else has to wait while the text is handed out."""
    stream, longest = masker.stream(), 0.0
    for at in range(0, len(data), _TURN):
        start = time.process_time()
        stream.feed(data[at : at + _TURN])
        longest = max(longest, time.process_time() - start)
    return longest


def _repeated(piece: bytes) -> bytes:
    return piece * (64 * 1024 // len(piece))


def _values() -> list[bytes]:
    return [b"first-v4lue/of-three", b"s3cond value", b"th1rd+value"]


def _cost(name: str, masker: Masker, data: bytes) -> Line:
    took = []
    for _ in range(200):
        start = time.perf_counter()
        masker.mask(data)
        took.append(time.perf_counter() - start)
    middle = sorted(took)[len(took) // 2]
    return Line(name, f"{middle * 1e3:.3f} ms", aim="< 0.1 ms", met=middle < 1e-4)


def _spoilt(masker: Masker) -> tuple[int, int]:
    """How many lines of source changed, of how many; lines that give something away by an assignment count too."""
    lines = list(islice(_source(), 0, 200_000, 20))
    return sum(masker.text(line) != line for line in lines), len(lines)


def _source() -> Iterator[str]:
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        yield from (line for line in path.read_text(errors="replace").splitlines() if line.strip())
