"""The Debian package, and nothing else of the tree: installed, used, upgraded under a running job, removed, purged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.systemd.box import ROOT, Box, Service
from tests.systemd.conftest import booted, missing

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(900)]
OUTLIVING = """\
jobs:
  long: {shell: 'echo $$ >/root/long.pid; while ! test -e /root/long.go; do sleep 0.1; done; echo over'}
"""
LEFT = r"""
find / -xdev \( -path /proc -o -path /root \) -prune -o -name '*jobd*' -print |
    grep -v '^/run/log\|^/var/log\|^/var/lib/dpkg\|^/var/cache\|^/tmp' || true
"""
METRICS = """\
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:9764/metrics").read().decode())
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is built."""
    if why := missing():
        pytest.skip(why)
    made = tmp_path_factory.mktemp("dist")
    done = subprocess.run([ROOT / "packaging" / "build-deb", made], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = made.glob("*.deb")
    return found


@pytest.fixture(scope="module")
def newer(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same package with a later version."""
    tree, target = tmp_path_factory.mktemp("tree") / "jobd", tmp_path_factory.mktemp("newer") / "jobd.deb"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 999.0", control.read_text()))
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, target]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def bare() -> Iterator[Box]:
    """A box without jobd."""
    with booted(f"jobd-package-{os.getpid()}") as made:
        yield made


@pytest.mark.skipif(shutil.which("lintian") is None, reason="lintian is not installed")
def test_lintian_finds_nothing_that_is_not_explained(package: Path) -> None:
    done = subprocess.run(["lintian", "--allow-root", package], capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if line[:2] in ("E:", "W:")] == []


def test_the_package_is_all_it_takes(bare: Box, package: Path, newer: Path) -> None:
    bare.copy(package, "/root/")
    bare.copy(newer, "/root/")
    bare.do("apt-get", "install", "-y", f"/root/{package.name}", seconds=180)
    service = Service(bare)
    assert [bare.do("systemctl", asked, "jobd") for asked in ("is-active", "is-enabled")] == ["active", "enabled"]
    assert bare.sh("getent group jobd | cut -d: -f1; stat -c '%a %U' /var/lib/jobd") == "jobd\n700 root"

    bare.write("/etc/jobd/jobs.d/hello.yaml", "jobs:\n  hello: {shell: 'echo well', schedule: every 1s}\n")
    bare.until("jobd-ctl --json runs --job hello --state succeeded | grep -q '\"succeeded\"'", seconds=30)
    assert "hello" in bare.do("jobd-ctl", "status")
    assert 'jobd_runs_finished_total{job_name="hello"' in bare.do("python3", "-c", METRICS)

    bare.write("/etc/jobd/jobs.d/broken.yaml", "jobs:\n  broken: {comand: x}\n")
    refused = bare.ask("systemctl", "reload", "jobd")
    assert refused.code != 0
    assert bare.ask("jobd-ctl", "status").code == 1
    assert "broken.yaml:2" in bare.do("journalctl", "--no-pager", "-u", "jobd", "-n", "20")
    bare.do("rm", "/etc/jobd/jobs.d/broken.yaml")
    bare.do("systemctl", "reload", "jobd")
    assert bare.ask("jobd-ctl", "status").code == 0

    service.define("long", OUTLIVING)
    run, pid = service.started("long")
    before = service.main_pid
    bare.sh("echo '# changed by an administrator' >>/etc/jobd/jobd.yaml")
    bare.do("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--install", "/root/jobd.deb", seconds=180)
    service.is_started_anew(before)
    assert bare.do("dpkg-query", "-W", "-f", "${Version}", "jobd") == "999.0"
    assert "changed by an administrator" in bare.do("cat", "/etc/jobd/jobd.yaml")
    bare.do("kill", "-0", str(pid))
    service.let_end("long")
    ended = service.ends(run)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1) and service.output(run) == ["over"]

    bare.do("apt-get", "remove", "-y", "jobd", seconds=120)
    assert bare.ask("systemctl", "is-active", "jobd").out.strip() != "active"
    assert bare.sh("test -e /var/lib/jobd/jobd.db && test -e /etc/jobd/jobd.yaml && echo kept") == "kept"
    bare.do("apt-get", "purge", "-y", "jobd", seconds=120)
    bare.sh("rm -f /etc/jobd/jobs.d/*.yaml; rmdir /etc/jobd/jobs.d /etc/jobd 2>/dev/null || true")
    assert bare.sh(LEFT) == ""
