"""Holds the rules of the layout: who may import whom, and which package alone may touch which part of the world."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jobd"
EDGES = {"control", "observe", "work", "store", "definitions"}

# What jobd.client may lean on is what any program that imports it gets: next to nothing.
MAY_IMPORT: dict[str, set[str]] = {
    "core": {"core"},
    **{edge: {edge, "core"} for edge in EDGES},
    "supervisor": {"supervisor", "core"} | EDGES,
    "client": {"client", "core"},
    "cli": {"cli", "supervisor", "client", "core"} | EDGES,
    "": {"core"},
}

# croniter's field parser is the one library below everything.
CORE_LIBRARIES = {"croniter"}
STANDARD_ONLY = {"client"}

SMALL_PROGRAMS = ("work/forkserver.py", "work/worker.py")
# Every module here stays in each worker's memory for as long as jobd runs: add one only with a reason.
# fmt: off
SMALL_IMPORTS = {
    "__future__", "array", "base64", "collections", "contextlib", "ctypes", "dataclasses", "datetime", "enum", "errno",
    "fcntl", "functools", "gc", "grp", "importlib", "io", "itertools", "json", "math", "os", "pwd", "re", "resource",
    "select", "selectors", "shlex", "signal", "socket", "stat", "struct", "subprocess", "sys", "time", "traceback",
    "types", "typing", "jobd",
}
# fmt: on
HEAVY = {"aiohttp", "apsw", "asyncio", "click", "http", "pydantic", "psutil", "rich", "sqlite3", "ssl", "yaml"}

PROCESS_CALLS = {
    "os": re.compile(
        r"(fork|forkpty|kill|killpg|wait|waitpid|wait3|wait4|waitid|posix_spawnp?|system|popen|spawn\w+|exec[lv]\w*)"
    ),
    "signal": re.compile(r"pidfd_send_signal"),
    "pty": re.compile(r"(fork|spawn)"),
    "asyncio": re.compile(r"create_subprocess_\w+"),
}
PROCESS_MODULES = {"subprocess", "multiprocessing", "concurrent.futures", "pty"}
PROCESS_METHODS = {"send_signal", "subprocess_exec", "subprocess_shell"}

SQL_MODULES = {"apsw", "sqlite3"}
SQL = re.compile(
    r"^\s*(SELECT\s.+\sFROM\s|SELECT\s+\w+\(|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s"
    r"|REPLACE\s+INTO\s|PRAGMA\s+\w+|CREATE\s+(UNIQUE\s+)?(TABLE|INDEX|TRIGGER|VIEW)\s|BEGIN\s+IMMEDIATE|WITH\s+\w+\s+AS\s*\()",
    re.DOTALL,
)
DANGEROUS_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle"}
DANGEROUS_YAML = {"load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"}
UNSAFE_LOADERS = {"Loader", "UnsafeLoader", "FullLoader", "CLoader", "CUnsafeLoader", "CFullLoader"}


@dataclass(frozen=True)
class Module:
    path: str
    """Relative to the package, with slashes."""
    tree: ast.Module

    @property
    def layer(self) -> str:
        top = self.path.split("/")[0]
        return top.removesuffix(".py") if top != "__init__.py" else ""

    @property
    def package(self) -> list[str]:
        return ["jobd", *self.path.split("/")[:-1]]


@cache
def modules() -> tuple[Module, ...]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return tuple(Module(str(path.relative_to(PACKAGE)), ast.parse(path.read_text())) for path in paths)


def parsed(path: str, source: str) -> Module:
    return Module(path, ast.parse(source))


@cache
def nodes(module: Module) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(module.tree))


@cache
def imports(module: Module) -> tuple[tuple[int, str], ...]:
    """Every (line, dotted name) that is imported anywhere in the module; `from a import b` gives `a.b`."""
    return tuple(_imports(module))


def _imports(module: Module) -> Iterator[tuple[int, str]]:
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(module.package[: len(module.package) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (start, node.module) if part)
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def is_of(name: str, families: set[str]) -> bool:
    return any(name == family or name.startswith(f"{family}.") for family in families)


def upward_imports(module: Module) -> list[str]:
    found = []
    for line, name in imports(module):
        parts = name.split(".")
        if parts[0] != "jobd" or len(parts) < 2 or not _is_layer(parts[1]):
            continue
        if parts[1] not in MAY_IMPORT[module.layer]:
            found.append(f"{module.path}:{line}: {module.layer or 'jobd'} imports {name}")
    return found


@cache
def _is_layer(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


def foreign_imports(module: Module) -> list[str]:
    allowed = {"core": CORE_LIBRARIES}.get(module.layer, set())
    known = set(sys.stdlib_module_names) | {"jobd"} | allowed
    return [f"{module.path}:{line}: {name}" for line, name in imports(module) if name.split(".")[0] not in known]


def process_use(module: Module) -> list[str]:
    """Imports and calls that start, signal or wait for processes, aliases of the modules included."""
    found = [f"{module.path}:{line}: imports {name}" for line, name in imports(module) if is_of(name, PROCESS_MODULES)]
    aliases = {}
    for node in nodes(module):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name: alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module in PROCESS_CALLS:
            calls = [alias.name for alias in node.names if PROCESS_CALLS[node.module].fullmatch(alias.name)]
            found += [f"{module.path}:{node.lineno}: imports {node.module}.{name}" for name in calls]
    for node in nodes(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            pattern = PROCESS_CALLS.get(aliases.get(node.value.id, ""))
            if pattern and pattern.fullmatch(node.attr):
                found.append(f"{module.path}:{node.lineno}: {node.value.id}.{node.attr}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PROCESS_METHODS:
            found.append(f"{module.path}:{node.lineno}: .{node.func.attr}()")
    return found


def sql_use(module: Module) -> list[str]:
    found = [f"{module.path}:{line}: imports {name}" for line, name in imports(module) if is_of(name, SQL_MODULES)]
    for node in nodes(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            found.append(f"{module.path}:{node.lineno}: SQL text {node.value.strip()[:40]!r}")
        if isinstance(node, ast.Call) and _opens(node) and "jobd.db" in ast.unparse(node):
            found.append(f"{module.path}:{node.lineno}: opens the database file")
    return found


def _opens(call: ast.Call) -> bool:
    match call.func:
        case ast.Name("open") | ast.Attribute(attr="open"):
            return True
    return False


def yaml_use(module: Module) -> list[str]:
    return [
        f"{module.path}:{line}: imports {name}" for line, name in imports(module) if is_of(name, {"yaml", "ruamel"})
    ]


def code_from_data(module: Module) -> list[str]:
    found = [
        f"{module.path}:{line}: imports {name}" for line, name in imports(module) if is_of(name, DANGEROUS_MODULES)
    ]
    for node in nodes(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            found.append(f"{module.path}:{node.lineno}: {node.func.id}()")
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "yaml"):
            continue
        if node.attr in DANGEROUS_YAML | UNSAFE_LOADERS:
            found.append(f"{module.path}:{node.lineno}: yaml.{node.attr}")
    return found


def every(check: object, *, but: tuple[str, ...] = ()) -> list[str]:
    assert callable(check)
    return [problem for module in modules() if not module.path.startswith(but) for problem in check(module)]


def test_an_import_only_goes_down() -> None:
    assert every(upward_imports) == []


def test_every_package_has_a_place_in_the_layers() -> None:
    assert {module.layer for module in modules()} <= set(MAY_IMPORT)


def test_core_and_the_client_import_the_standard_library_only() -> None:
    low = [module for module in modules() if module.layer in {"core", *STANDARD_ONLY}]
    assert [problem for module in low for problem in foreign_imports(module)] == []


def test_the_programs_that_fork_import_next_to_nothing() -> None:
    small = [module for module in modules() if module.path in SMALL_PROGRAMS]
    found = [f"{module.path}:{line}: {name}" for module in small for line, name in imports(module)]
    assert [entry for entry in found if entry.split(": ")[1].split(".")[0] not in SMALL_IMPORTS] == []


def test_a_program_that_forks_loads_nothing_heavy() -> None:
    small = {module.path for module in modules()} & set(SMALL_PROGRAMS)
    names = ["jobd.work.wire", *("jobd." + path.removesuffix(".py").replace("/", ".") for path in small)]
    code = f"import sys, {', '.join(names)}; print(*{{m.split('.')[0] for m in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(loaded.split()) == set()


def test_only_the_store_knows_sql() -> None:
    # A worker asks the databases of jobs, for which SQL is the work; of jobd's own it knows nothing either.
    assert every(sql_use, but=("store/", "work/databases/")) == []


def test_only_work_starts_signals_and_waits_for_processes() -> None:
    assert every(process_use, but=("work/",)) == []


def test_only_definitions_and_settings_read_yaml() -> None:
    assert every(yaml_use, but=("definitions/", "supervisor/settings")) == []


def test_data_never_becomes_code() -> None:
    assert every(code_from_data) == []


def test_every_module_says_what_it_owns() -> None:
    bare = [module.path for module in modules() if module.tree.body and not ast.get_docstring(module.tree)]
    assert bare == []


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (upward_imports, "core/x.py", "from jobd.store import runs"),
        (upward_imports, "core/x.py", "def f():\n    import jobd.work.pool"),
        (upward_imports, "store/x.py", "from jobd.work import pool"),
        (upward_imports, "store/x.py", "from ..work import pool"),
        (upward_imports, "control/x.py", "from jobd import observe"),
        (upward_imports, "supervisor/x.py", "import jobd.cli.ctl"),
        (foreign_imports, "core/x.py", "import yaml"),
        (process_use, "supervisor/x.py", "import os\nos.kill(1, 9)"),
        (process_use, "supervisor/x.py", "import os as o\no.fork()"),
        (process_use, "supervisor/x.py", "from os import waitpid"),
        (process_use, "control/x.py", "import subprocess"),
        (process_use, "control/x.py", "import signal\nsignal.pidfd_send_signal(3, 9)"),
        (process_use, "control/x.py", "import asyncio\nasyncio.create_subprocess_exec('x')"),
        (sql_use, "supervisor/x.py", "import sqlite3"),
        (sql_use, "supervisor/x.py", "q = 'SELECT id FROM run'"),
        (sql_use, "supervisor/x.py", "q = '''\n  UPDATE run SET state = 1'''"),
        (sql_use, "supervisor/x.py", "open('jobd.db')"),
        (yaml_use, "control/x.py", "import yaml"),
        (code_from_data, "definitions/x.py", "import yaml\nyaml.load('')"),
        (code_from_data, "definitions/x.py", "import yaml\nyaml.load_all('', yaml.Loader)"),
        (code_from_data, "work/x.py", "import pickle"),
        (code_from_data, "work/x.py", "eval('1')"),
    ],
)
def test_a_breach_is_found(check: object, path: str, source: str) -> None:
    assert callable(check)
    assert check(parsed(path, source)) != []
