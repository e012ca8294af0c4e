"""Durable submits over the socket, beside the server's answer that does nothing and beside SQLite's own commits."""

from __future__ import annotations

from functools import partial

from bench.daemon import daemon
from bench.load import BATCH, Load
from bench.paired import rounds
from bench.sqlite import Raw
from bench.table import Line, compared

SLICE_SECONDS = 0.15
NOOP_1, NOOP_8 = "no-op handler, 1 connection", "no-op handler, 8 connections"
ROW, ROWS = "apsw FULL, 1 row a commit", f"apsw FULL, {BATCH} rows a commit"


def measure(count: int) -> list[Line]:
    """Single submits and batches at 1 and 8 connections, over so many rounds."""
    with daemon(workers=2) as jobd:
        jobd.block()
        load, raw = Load(jobd.socket), Raw(jobd.directory / "raw.db")
        try:
            rates = rounds(_cases(load, raw), count)
        finally:
            load.close()
            raw.close()
    return [
        compared("durable submits, 1 connection", rates, "submit 1", NOOP_1),
        compared("", rates, "submit 1", ROW),
        compared("durable submits, 8 connections", rates, "submit 8", NOOP_8, aim=0.4),
        compared("", rates, "submit 8", ROW),
        compared(f"runs in batches of {BATCH}, 1 connection", rates, "batch 1", ROWS, aim=0.3),
        compared(f"runs in batches of {BATCH}, 8 connections", rates, "batch 8", ROWS, aim=0.3),
    ]


def _cases(load: Load, raw: Raw) -> dict[str, partial[float]]:
    return {
        NOOP_1: partial(load.rate, "version", 1, SLICE_SECONDS),
        "submit 1": partial(load.rate, "submit", 1, SLICE_SECONDS),
        ROW: partial(raw.rows, SLICE_SECONDS, 1),
        NOOP_8: partial(load.rate, "version", 8, SLICE_SECONDS),
        "submit 8": partial(load.rate, "submit", 8, SLICE_SECONDS),
        ROWS: partial(raw.rows, SLICE_SECONDS, BATCH),
        "batch 1": partial(_runs, load, 1),
        "batch 8": partial(_runs, load, 8),
    }


def _runs(load: Load, connections: int) -> float:
    return BATCH * load.rate("batch", connections, SLICE_SECONDS)
