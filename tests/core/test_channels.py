"""Messages: templates that execute nothing, hostile texts that stay texts, digests that stay small."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobd.core import channels, notices
from jobd.core.channels import Channel, digest, message, template_fault
from jobd.core.model import Call, Command
from jobd.core.notices import Notice, Occasion

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = "\x1b]0;owned\x07\x9b2J\u202egnp\u2028Subject: x\r\n${summary} ${job.__class__} {0.__class__} %s"


def told(reason: str = "", tail: str = "") -> dict[str, object]:
    notice = Notice(Occasion.FAILURE, "work", NOON, "default", 42, 1, "failed", 3, reason)
    return notices.facts(notice, None, "db1", tail)


def test_a_template_has_names_of_facts_and_executes_nothing() -> None:
    made = message(Channel("ops", "email", title="${job}: ${occasion} ${exit_code}", text="{job} %s ${{job}}"), told())
    assert made["title"] == "work: failure 3"
    assert made["text"] == "{job} %s ${{job}}"


@pytest.mark.parametrize("template", ["${whatever}", "${payload}", "${}"])
def test_a_template_that_asks_for_what_there_is_not_is_refused(template: str) -> None:
    assert "is nothing that messages know" in (template_fault(template) or "")


def test_what_a_job_wrote_is_neither_a_template_nor_a_control_sequence() -> None:
    made = message(Channel("ops", "email", title="${reason}"), told(HOSTILE, HOSTILE))
    for text in (made["title"], made["text"].replace("\n", "")):
        assert not [char for char in text if char < " " or "\x7f" <= char < "\xa0" or char in "\u2028\u202e"]
    assert "${job.__class__} {0.__class__} %s" in made["text"]
    assert "${summary}" in made["text"]
    assert len(made["title"]) <= 200


def test_a_long_story_is_cut() -> None:
    made = message(Channel("ops", "email", title="${reason}"), told("x" * 100_000, "y" * 100_000))
    assert len(made["title"]) <= 200
    assert len(made["text"]) <= 16 * 1024


def test_a_digest_grows_by_what_comes_and_lists_the_first_hundred() -> None:
    one = message(Channel("ops", "email"), told())
    first = digest(None, [one] * 60, "db1")
    whole = digest(first, [one] * 140, "db1")
    assert (whole["count"], len(whole["items"])) == (200, 100)
    assert whole["title"] == "200 notifications of jobd on db1"
    assert "and 100 more" in whole["text"]
    assert "tail" not in whole["items"][0]


def test_a_definition_names_its_channel_and_nothing_of_it() -> None:
    hook = Channel("hook", "webhook", {"url": "https://example.org/SECRET"})
    assert channels.job_of(hook).action == Call("jobd.notify", {"channel": "hook"})
    page = Channel("pager", "command", {"argv": ["page", "${payload.title}"], "user": "ann"})
    made = channels.job_of(page)
    assert (made.action, made.user, made.queue) == (Command(("page", "${payload.title}")), "ann", "jobd.notify")


def test_a_healthcheck_hears_the_exit_code_where_there_is_one() -> None:
    ends = [("succeeded", 0), ("failed", 7), ("failed", None), ("failed", 300), ("cancelled", None), ("expired", None)]
    assert [channels.signal_of(*end) for end in ends] == ["success", "7", "fail", "fail", "log", "log"]
    assert channels.run_uuid("a", "job", 1) == channels.run_uuid("a", "job", 1) != channels.run_uuid("b", "job", 1)
