"""HTTP jobs as a user meets them: in YAML, submitted, retried, and held to the policy of jobd.yaml."""

from __future__ import annotations

import pytest

from jobd.core.errors import JobdError
from tests.e2e.conftest import MakeHost
from tests.work.site import site


def test_an_http_job_is_retried_when_the_server_says_and_its_answer_is_the_result(make_host: MakeHost) -> None:
    with site() as server:
        host = make_host("policy: {http_deny: [127.0.0.2/32]}\n")
        host.define(
            "calls",
            f"""
            jobs:
              ask:
                http: {{url: "{server.url}/users/${{payload.user}}", json: {{n: "${{payload.n}}", nothing: null}}}}
                retry: {{max_attempts: 3, base: 1h}}
              denied: {{http: {{url: "{server.url.replace("127.0.0.1", "127.0.0.2")}"}}}}
            """,
        )
        host.define("bad", f"jobs: {{wrong: {{http: {{url: '{server.url}', timeout: soon}}}}}}\n")
        server.answers += [(503, {"Retry-After": "1"}, b"busy")]
        host.start()
        with host.client() as client:
            (problem,) = client.status()["problems"]
            assert 'jobs.wrong.http.timeout: "soon" is not a duration (try 30s or 5m)' in problem
            with pytest.raises(JobdError, match="/payload has no 'n', and the job asks for"):
                client.submit("ask", {"user": "ann"})
            run = client.wait(client.submit("ask", {"user": "ann", "n": 3}))
            assert (run["state"], run["attempts"], run["result"]["status"]) == ("succeeded", 2, 200)
            assert run["result"]["body"]["body"] == '{"n":3,"nothing":null}'
            assert client.job("ask")["kind"] == "http"
            denied = client.wait(client.submit("denied"))
            assert (denied["state"], denied["attempts"]) == ("failed", 1)
            assert "policy.http_deny" in denied["error"]
