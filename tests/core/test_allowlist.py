"""The allowlist: what gets through it starts exactly one program of the list, whatever a shell would make of the text.

`T` stands for a program that leaves a marker. The table is that of the reliability document, by its numbers.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from jobd.core.allowlist import LAUNCHERS, Allowlist, entry_fault, loads_code, words
from jobd.core.model import Command, Python, Shell
from jobd.work.programs import Programs

LISTED = Allowlist(("ls", "echo"), Programs())
PAYLOADS = {
    1: "ls; T",
    2: "ls && T",
    3: "ls /nonexistent || T",
    4: "ls | T",
    5: "ls & T",
    6: "ls $(T)",
    7: "ls `T`",
    8: "ls\nT",
    9: "ls\r\nT",
    10: 'ls "$(T)"',
    11: "ls > M",
    12: "ls >| M",
    13: "ls <<E\n$(T)\nE",
    14: "ls #x\nT",
    15: "ls \\\n; T",
    16: "ls ${x:=$(T)}",
    17: "ls <(T)",
    18: "ls $((a[$(T)]))",
    19: "find . -maxdepth 0 -exec T \\;",
    20: "awk 'BEGIN{system(\"T\")}'",
    21: "env T",
    22: "ls\t;\tT",
    23: "ls\u00a0;T",
    24: "ls\x1c;T",
    25: "ls\x0b;T",
    26: "ls;touch${IFS}M",
    27: "ls;{touch,M}",
    28: "ls;(T)",
    29: 'ls; trap "T" EXIT',
    30: "PATH=E:$PATH ls",
    31: "BASH_ENV=x ls;T",
    32: "E/ls",
    33: "e/ls",
    34: '"ls";T',
    35: "l''s;T",
    36: "\\ls;T",
    37: "ls() { T; }; ls",
    38: 'ls ";" "x";T',
    39: "linked",
    40: "sed -n '1e T' f",
    41: "tar -cf /dev/null f --checkpoint=1 --checkpoint-action=exec=T",
    42: 'ls "a\n"; T',
}
SHELLS = [shell for shell in ("/bin/dash", "/bin/bash") if os.path.exists(shell)]


class Trap:
    """A directory with the marker's program in it, and where the marker would be."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.marker = directory, directory / "marker"
        self.program = directory / "leave"
        self.program.write_text(f"#!/bin/sh\n: > {self.marker}\n")
        self.program.chmod(0o755)
        for inner in ("E", "e"):
            (directory / inner).mkdir(exist_ok=True)
            shutil.copy(self.program, directory / inner / "ls")
        (directory / "linked").symlink_to(self.program)
        (directory / "f").write_text("x\n")

    def laid_out(self, payload: str) -> str:
        text = payload.replace("E/ls", f"{self.directory}/E/ls").replace("PATH=E", f"PATH={self.directory}/E")
        text = "".join(f"{self.program}" if part == "T" else part for part in _split(text, "T"))
        return "".join(f"{self.marker}" if part == "M" else part for part in _split(text, "M"))

    def was_sprung(self) -> bool:
        found = self.marker.exists()
        self.marker.unlink(missing_ok=True)
        return found

    def run(self, argv: list[str]) -> bool:
        """Whether this leaves the marker."""
        subprocess.run(
            argv,
            cwd=self.directory,
            env={"PATH": f"{os.environ['PATH']}:{self.directory}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        return self.was_sprung()


def _split(text: str, mark: str) -> list[str]:
    """The text in parts, the mark by itself wherever it is no part of a longer word in capitals."""
    parts, at = [], 0
    for place, character in enumerate(text):
        around = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
        if character == mark and not any(other.isupper() for other in around):
            parts += [text[at:place], mark]
            at = place + 1
    return [*parts, text[at:]]


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path)


@pytest.mark.parametrize("number", PAYLOADS)
def test_none_of_the_known_payloads_gets_through(number: int, trap: Trap) -> None:
    text = trap.laid_out(PAYLOADS[number])
    with pytest.raises(ValueError, match=r"shell_allowlist|empty"):
        LISTED.argv(Shell(text))


def test_the_known_payloads_do_harm_where_a_shell_gets_them(trap: Trap) -> None:
    """The oracle works: most of the table runs the marker in dash or bash."""
    harmful = {
        number
        for number, payload in PAYLOADS.items()
        if any(trap.run([shell, "-c", trap.laid_out(payload)]) for shell in SHELLS)
    }
    assert len(harmful) >= 33, sorted(PAYLOADS.keys() - harmful)


def test_what_gets_through_of_450_generated_texts_is_one_program_in_every_shell(trap: Trap) -> None:
    dice = random.Random(7)
    accepted = [text for text in (generated(dice, trap) for _ in range(450)) if _is_taken(text)]
    assert len(accepted) >= 30  # else the grammar proves nothing
    for text in accepted:
        argv = LISTED.argv(Shell(text))
        assert argv is not None
        assert argv[0] in {LISTED.disk.find("ls"), LISTED.disk.find("echo")}
        assert not trap.run(list(argv)), text
        for shell in SHELLS:
            assert not trap.run([shell, "-c", text]), (shell, text)


def generated(dice: random.Random, trap: Trap) -> str:
    """A listed command with up to four pieces of shell put anywhere into it."""
    program = str(trap.program)
    # fmt: off
    pieces = [
        ";", "&&", "||", "|", "&", "\n", "\r", "\t", "$(", "`", ")", "(", "{", "}", "<", ">", "\\", '"', "'", "#", "*",
        "~", "!", "=", "A=1 ", "$IFS", "${x}", "\x0b", "\u00a0", "\u2028", " ", "  ", "''", '"";', "-la", "/tmp", "x",
        "';'", '"|"', program, f";{program}", f"$({program})", f"`{program}`", f"'{program}'", f'"; {program}"', " -- ",
        f"\n{program}",
    ]
    # fmt: on
    text = dice.choice(["ls", "echo", "ls -l", "echo a b", "'ls' x", "/bin/ls", 'e"cho" hi'])
    for _ in range(dice.randint(1, 4)):
        at = dice.choice([len(text), dice.randint(0, len(text))])
        text = text[:at] + dice.choice(["", " "]) + dice.choice(pieces) + text[at:]
    return text


def _is_taken(text: str) -> bool:
    try:
        return LISTED.argv(Shell(text)) is not None
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("ls", ("ls",)),
        ("  ls   -la  /var/log ", ("ls", "-la", "/var/log")),
        ("echo 'a; b' \"c | d\" ''", ("echo", "a; b", "c | d", "")),
        ("echo a'b c'd\"e\"", ("echo", "ab cde")),
        ("echo 'ünï'", ("echo", "ünï")),
        ("dd if=/dev/zero of=x", ("dd", "if=/dev/zero", "of=x")),
    ],
)
def test_a_simple_command_is_taken_apart_as_a_shell_would(text: str, argv: tuple[str, ...]) -> None:
    assert words(text) == argv
    for shell in SHELLS:
        said = subprocess.run([shell, "-c", f"set -- {text}\nprintf '%s\\0' \"$@\""], capture_output=True, check=True)
        assert said.stdout.decode().split("\0")[:-1] == list(argv)


@pytest.mark.parametrize(
    "text", ["echo *", "ls ~", "echo a{b,c}", "ls [ab]", "echo $HOME", "! ls", "a=b", "echo \u2028", ""]
)
def test_what_only_a_shell_could_do_is_refused_and_not_done_otherwise(text: str) -> None:
    with pytest.raises(ValueError, match=r"shell_allowlist|empty"):
        words(text)


def test_a_program_is_known_by_its_name_and_where_it_leads(tmp_path: Path) -> None:
    ls = LISTED.disk.find("ls")
    assert ls is not None
    assert LISTED.admit(("ls", "-l")) == (ls, "-l")
    assert LISTED.admit((ls,)) == (ls,)
    (tmp_path / "ls").symlink_to(ls)
    assert LISTED.admit((str(tmp_path / "ls"),)) == (ls,), "the list's own path is what runs"
    (tmp_path / "other").symlink_to(ls)
    with pytest.raises(ValueError, match="is not on shell_allowlist"):
        LISTED.admit((str(tmp_path / "other"),))


def test_a_file_that_is_many_programs_is_only_the_one_it_is_listed_as(tmp_path: Path) -> None:
    class Box:
        def find(self, name: str) -> str | None:
            return f"/bin/{name}" if name in ("ls", "sh", "busybox") else None

        def real(self, path: str) -> str | None:
            return "/bin/busybox"

    listed = Allowlist(("ls",), Box())
    assert listed.admit(("/usr/bin/ls",)) == ("/bin/ls",)
    for other in ("sh", "/bin/sh", "busybox", "/bin/busybox"):
        with pytest.raises(ValueError, match="is not on shell_allowlist"):
            listed.admit((other,))


def test_a_command_is_held_to_the_list_and_its_arguments_are_its_own() -> None:
    assert LISTED.argv(Command(("echo", "; rm -rf /"))) == (LISTED.disk.find("echo"), "; rm -rf /")
    assert LISTED.argv(Python("a:b")) is None
    for program in ("sh", "./ls", "../bin/ls", "${payload.program}", "l s", "", "echo\0"):
        with pytest.raises(ValueError, match="is not on shell_allowlist"):
            LISTED.argv(Command((program,)))


@pytest.mark.parametrize(
    "entry", ["", "ls -l", "bin/ls", "./ls", "/bin/../bin/sh", "//ls", "/bin/", "l*", "a;b", "ls\n"]
)
def test_what_is_no_program_cannot_be_listed(entry: str) -> None:
    assert entry_fault(entry) is not None


def test_variables_that_load_code_are_known() -> None:
    bad = [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "BASH_ENV",
        "ENV",
        "IFS",
        "PYTHONPATH",
        "PERL5OPT",
        "GIT_SSH",
        "BASH_FUNC_ls%%",
    ]
    assert all(map(loads_code, bad))
    assert not any(map(loads_code, ["PATH", "HOME", "ENVIRONMENT", "OLD_STYLE", "JOBD_RUN_ID", "IFSX"]))
    assert {"find", "env", "sh"} <= LAUNCHERS
