"""What is found of models before a run asks them."""

from __future__ import annotations

from decimal import Decimal

import anyio
import pytest

from mmframe.domain.advice import ModelList, ReplyStatus
from mmframe.domain.findings import FindingLevel
from mmframe.registry import compose_advisers, compose_look
from mmframe.runtime.advice.check import ask_models, model_finding


def reports(plans, *, probes=True):
    async def ask():
        return await ask_models(plans, probes=probes)

    return anyio.run(ask)


def test_a_model_is_listed_and_asked_one_question_with_its_price(lab):
    (report,) = reports(compose_advisers(lab.write()))

    assert (report.use, report.model, report.is_listed, report.problem) == ("lab/script", "lab-1", True, "")
    assert report.cost_usd == Decimal("0.000495")
    assert report.has_price
    assert model_finding(report).level is FindingLevel.OK


def test_advisers_of_one_model_share_a_report_and_every_provider_is_closed(lab):
    plans = compose_advisers(
        lab.write(adviser=lab.adviser + lab.adviser.replace("[[adviser]]", '[[adviser]]\nname = "b"'))
    )

    (report,) = reports(plans)

    assert report.advisers == ("echo", "b")
    assert all(plan.provider.is_closed for plan in plans)
    assert plans[0].provider.calls + plans[1].provider.calls == 1


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (ModelList(ReplyStatus.CONFIG, detail="HTTP 401: the key from env LAB_KEY was refused"), FindingLevel.FAILED),
        (ModelList(ReplyStatus.OK, ("another",)), FindingLevel.FAILED),
        (ModelList(ReplyStatus.UNAVAILABLE, detail="HTTP 503"), FindingLevel.WARNING),
        (ModelList(ReplyStatus.QUOTA, detail="HTTP 402"), FindingLevel.WARNING),
        (ModelList(ReplyStatus.OK), FindingLevel.OK),
    ],
)
def test_a_live_run_does_not_start_with_a_key_or_a_model_that_only_a_person_can_put_right(
    lab, monkeypatch, answer, level
):
    plans = compose_advisers(lab.write())

    async def models(*, timeout_s):
        return answer

    monkeypatch.setattr(plans[0].provider, "models", models)

    (report,) = reports(plans, probes=False)
    finding = model_finding(report)

    assert (finding.level, finding.subject) == (level, "model of echo")
    assert answer.detail in finding.text
    assert plans[0].provider.calls == 0


def test_a_look_at_a_strategy_wants_no_key_and_has_no_adviser(lab, monkeypatch):
    monkeypatch.delenv("LAB_KEY", raising=False)

    plan = compose_look(lab.write(swaps=(('behaviour = "answer"', 'key = { env = "LAB_KEY" }'),)))

    assert plan.advisers == ()
