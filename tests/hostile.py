"""What a hostile job may try on an operator's terminal or in a journal: 40 payloads, each with what it is after."""

from __future__ import annotations

PAYLOADS = {
    "set the clipboard (OSC 52)": "\x1b]52;c;aGk=\x07",
    "read the clipboard": "\x1b]52;c;?\x07",
    "set the title": "\x1b]0;owned\x07",
    "set the title, ended by ST": "\x1b]2;owned\x1b\\",
    "report the title as typed input": "\x1b[21t",
    "ask for a setting (DECRQSS)": "\x1bP$q\x22p\x1b\\",
    "ask who it is": "\x1b[c",
    "ask where the cursor is": "\x1b[6n",
    "answer back": "\x05",
    "clear the screen": "\x1b[2J",
    "clear the history": "\x1b[3J",
    "reset the terminal": "\x1bc",
    "cursor home": "\x1b[H",
    "cursor up over what was said": "\x1b[1A\x1b[2K",
    "another screen": "\x1b[?1049h",
    "hide the cursor": "\x1b[?25l",
    "colours": "\x1b[31;1m",
    "black on black": "\x1b[30;40m",
    "hidden text": "\x1b[8mpassword\x1b[0m",
    "blink": "\x1b[5m",
    "a link (OSC 8)": "\x1b]8;;http://evil.example/\x1b\\click\x1b]8;;\x1b\\",
    "define a key": '\x1b[0;68;"rm -rf /";13p',
    "graphics (sixel)": "\x1bPq#0\x1b\\",
    "application message (APC)": "\x1b_Ga=d\x1b\\",
    "private message (PM)": "\x1b^x\x1b\\",
    "another character set": "\x1b(0",
    "shift out": "\x0e",
    "bracketed paste": "\x1b[?2004h",
    "mouse reports": "\x1b[?1000h",
    "CSI as C1": "\x9b31m",
    "OSC as C1": "\x9d0;owned\x9c",
    "overwrite the line": "failed\rsucceeded",
    "backspace": "bad\x08\x08\x08good",
    "a false prompt": "done\nroot@host:~# rm -rf /",
    "a false field": "x\nPRIORITY=0\nMESSAGE=fake",
    "a priority at the start": "<0>emergency",
    "NUL": "before\x00after",
    "DEL": "\x7f",
    "right to left": "\u202egnp.exe\u2066x\u2069",
    "a line separator": "one\u2028two\u2029three\x85four",
}
RAW = {
    *range(0x09),
    *range(0x0B, 0x20),
    *range(0x7F, 0xA0),
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
}
"""Characters that may not reach a terminal; a newline ends a line and is judged apart."""


def raw_in(text: str) -> set[str]:
    return {char for char in text if ord(char) in RAW}
