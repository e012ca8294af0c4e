"""HTTPS of http and webhook jobs against a real TLS peer on loopback, with a certificate authority of its own."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobd.core.executors import find
from jobd.core.model import Call
from jobd.core.states import Outcome
from jobd.work.orders import Order
from tests.work.harness import key
from tests.work.site import Site, site
from tests.work.test_http import results

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """A certificate authority in a directory: `ca` is what those who trust it know."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.ca, self._key = directory / "ca.pem", directory / "ca.key"
        openssl("req", "-x509", *EC, "-days", "2", "-subj", "/CN=test CA", "-keyout", self._key, "-out", self.ca)

    def certify(self, *names: str, days: int = 2) -> Path:
        """A certificate for these names (`DNS:…`, `IP:…`) with its key, in one file."""
        stem = self._directory / "-".join(names).replace(":", "_")
        request, made, own = (stem.with_suffix(suffix) for suffix in (".csr", ".crt", ".key"))
        openssl("req", "-new", *EC, "-subj", "/CN=a server", "-keyout", own, "-out", request)
        words = stem.with_suffix(".ext")
        words.write_text(f"subjectAltName={','.join(names)}\n")
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial"),
            *("-days", str(days), "-extfile", words, "-out", made),
        )
        whole = stem.with_suffix(".pem")
        whole.write_text(made.read_text() + own.read_text())
        return whole


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this host")
    return Authority(tmp_path_factory.mktemp("ca"))


def guarded(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(scope="module")
def named(authority: Authority) -> Iterator[Site]:
    """A server with a certificate of the name it is called by."""
    with site(guarded(authority.certify("DNS:localhost", "IP:127.0.0.1"))) as made:
        yield made


@pytest.fixture(scope="module")
def misnamed(authority: Authority) -> Iterator[Site]:
    with site(guarded(authority.certify("DNS:elsewhere.example", "IP:192.0.2.1"))) as made:
        yield made


def order(kind: str, run: int, options: dict[str, Any], trusted: Path | None) -> Order:
    action = Call(kind, find(kind).read(options))
    env = (("SSL_CERT_FILE", str(trusted)),) if trusted is not None else ()
    return Order(key(run), "job", action, timeout_seconds=20.0, payload='{"a": 1}', env=env)


def options(kind: str, url: str, tmp_path: Path) -> dict[str, Any]:
    if kind == "http":
        return {"url": url}
    (tmp_path / "hook.key").write_text("k" * 32)
    return {"url": url, "secret_file": str(tmp_path / "hook.key")}


both = pytest.mark.parametrize("kind", ["http", "webhook"])


@both
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_peer_whose_certificate_is_of_its_name_and_of_who_is_trusted_is_spoken_to(
    tmp_path: Path, authority: Authority, named: Site, kind: str, host: str
) -> None:
    named.seen.clear()
    url = f"https://{host}:{named.port}/a"
    ((found, _),) = results(tmp_path, order(kind, 1, options(kind, url, tmp_path), authority.ca))
    assert (found.outcome, found.error) == (Outcome.SUCCEEDED, None)
    assert [one["path"] for one in named.seen] == ["/a"]


@both
def test_a_peer_of_another_name_is_told_nothing(
    tmp_path: Path, authority: Authority, misnamed: Site, kind: str
) -> None:
    url = f"https://127.0.0.1:{misnamed.port}/secret?token=abc"
    ((found, _),) = results(tmp_path, order(kind, 1, options(kind, url, tmp_path), authority.ca))
    assert found.outcome is Outcome.FAILED
    assert found.error is not None and "certificate is not valid for '127.0.0.1'" in found.error
    assert misnamed.seen == [], "not a byte of a request was sent"


@both
def test_a_peer_that_nobody_trusted_vouches_for_is_told_nothing(tmp_path: Path, named: Site, kind: str) -> None:
    named.seen.clear()
    ((found, _),) = results(tmp_path, order(kind, 1, options(kind, named.url, tmp_path), None))
    assert found.outcome is Outcome.FAILED
    assert found.error is not None and "certificate verify failed" in found.error
    assert named.seen == []


def test_a_redirect_to_a_peer_of_another_name_is_told_nothing_either(
    tmp_path: Path, authority: Authority, named: Site, misnamed: Site
) -> None:
    named.answers.append((302, {"Location": f"https://127.0.0.1:{misnamed.port}/b"}, b""))
    ((found, _),) = results(tmp_path, order("http", 1, options("http", named.url, tmp_path), authority.ca))
    assert found.outcome is Outcome.FAILED
    assert found.error is not None and "certificate is not valid" in found.error
    assert misnamed.seen == []


def test_one_worker_does_not_lend_the_trust_of_one_job_to_another(
    tmp_path: Path, authority: Authority, named: Site
) -> None:
    trusting = order("http", 1, options("http", named.url, tmp_path), authority.ca)
    stranger = order("http", 2, options("http", named.url, tmp_path), None)
    (first, _), (second, _) = results(tmp_path, trusting, stranger)
    assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.FAILED), second
    assert second.error is not None and "certificate verify failed" in second.error


def test_what_is_said_through_tls_is_what_is_said_without(tmp_path: Path, authority: Authority, named: Site) -> None:
    named.seen.clear()
    wanted = {"url": f"{named.url}/big", "method": "GET"}
    posted = {"url": named.url, "method": "POST", "json": {"n": "${payload.a}"}}
    orders = (order("http", 1, wanted, authority.ca), order("http", 2, posted, authority.ca))
    (large, output), (told, _) = results(tmp_path, *orders)
    assert large.outcome is Outcome.SUCCEEDED and len(output) > 100_000, "cut where the output of the job ends"
    assert json.loads(told.result["body"]["body"] if isinstance(told.result["body"], dict) else "{}") == {"n": 1}
