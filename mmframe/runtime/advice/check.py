"""Looks at the models of a strategy before a run asks them: which there are, and what one small question costs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.domain.advice import CompletionReply, CompletionRequest, ModelList, ReplyStatus
from mmframe.domain.findings import Finding, FindingLevel
from mmframe.runtime.advice.budget import cost_usd, price_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.config.advice_tables import AdviserKeys
    from mmframe.ports import LLMProvider
    from mmframe.runtime.plan import AdviserPlan

__all__ = ["PROBE", "ModelReport", "ask_models", "model_finding"]

PROBE = CompletionRequest(
    system="You check a connection. Answer in JSON.",
    prompt='Set "ready" to true.',
    reply_schema=(
        b'{"additionalProperties":false,"properties":{"ready":{"type":"boolean"}},"required":["ready"],"type":"object"}'
    ),
    reply_name="probe",
    max_reply_tokens=256,
)
"""The smallest question that shows whether a model can be asked."""

_FINE = (ReplyStatus.OK, ReplyStatus.OK)


@attrs.frozen
class ModelReport:
    """What one provider said.

    Attributes:
        advisers: Who asks it.
        use: `plugin/component`.
        model: That is asked.
        models: Its list.
        reply: To the probe; None when none was made.
        cost_usd: Of the probe, by the price table.
        has_price: The table has a price of the model that answered, or nothing limits the cost.
    """

    advisers: tuple[str, ...]
    use: str
    model: str
    models: ModelList
    reply: CompletionReply | None = None
    cost_usd: Decimal = Decimal(0)
    has_price: bool = True

    @property
    def is_listed(self) -> bool | None:
        """Tell whether the model is in the list; None where there is no list."""
        return None if not self.models.models else self.model in self.models.models

    @property
    def problem(self) -> str:
        """Return why the model cannot be asked as it stands, or nothing."""
        if self.models.status is not ReplyStatus.OK:
            return self.models.detail or self.models.status.value
        if self.reply is not None and self.reply.status is not ReplyStatus.OK:
            return self.reply.detail or self.reply.status.value
        if self.reply is None and self.is_listed is False:
            return f"the server does not list the model {self.model!r}"
        return ""

    @property
    def needs_a_change(self) -> bool:
        """Tell whether nothing will work until a person has changed something."""
        replies = (self.models.status, ReplyStatus.OK if self.reply is None else self.reply.status)
        return ReplyStatus.CONFIG in replies or (bool(self.problem) and replies == _FINE)


async def ask_models(
    plans: Sequence[AdviserPlan], *, probes: bool, request: CompletionRequest = PROBE
) -> tuple[ModelReport, ...]:
    """Ask each provider once for its models, and with `probes` one small question, and close it; in order.

    Advisers whose providers have the same options share one report.
    """
    seen: dict[tuple[str, str, bytes], list[AdviserPlan]] = {}
    for plan in plans:
        seen.setdefault((plan.provider_use, plan.provider.model, plan.provider.body(request)), []).append(plan)
    reports = []
    for group in seen.values():
        reports.append(await _ask(group, probes=probes, request=request))
        for plan in group:
            await plan.provider.aclose()
    return tuple(reports)


def model_finding(report: ModelReport) -> Finding:
    """Return what a live run must know of a model: one that only a person can put right fails."""
    subject = f"model of {', '.join(report.advisers)}"
    if not report.problem:
        listed = "listed" if report.is_listed else "the server lists no models"
        return Finding(subject, FindingLevel.OK, f"{report.use}, {report.model}: {listed}")
    text = f"{report.use}, {report.model}: {report.problem}"
    if report.needs_a_change:
        return Finding(subject, FindingLevel.FAILED, text, "put the key or the model right, or remove the adviser")
    return Finding(
        subject, FindingLevel.WARNING, text, "advice stays neutral until it answers; quoting does not need it"
    )


async def _ask(group: Sequence[AdviserPlan], *, probes: bool, request: CompletionRequest) -> ModelReport:
    provider, keys = group[0].provider, group[0].keys
    models = await _models(provider, keys.timeout_s)
    report = ModelReport(
        advisers=tuple(plan.name for plan in group), use=group[0].provider_use, model=provider.model, models=models
    )
    if not probes or models.status is ReplyStatus.CONFIG:
        return report
    reply = await _probe(provider, keys.timeout_s, request)
    return attrs.evolve(report, reply=reply, cost_usd=_cost(reply, provider, keys), has_price=_has_price(reply, keys))


async def _models(provider: LLMProvider, timeout_s: float) -> ModelList:
    try:
        return await provider.models(timeout_s=timeout_s)
    except Exception as error:  # noqa: BLE001 - a provider may raise anything; it is told
        return ModelList(ReplyStatus.UNAVAILABLE, detail=f"the provider raised {type(error).__name__}")


async def _probe(provider: LLMProvider, timeout_s: float, request: CompletionRequest) -> CompletionReply:
    try:
        return await provider.complete(request, timeout_s=timeout_s)
    except Exception as error:  # noqa: BLE001 - as above
        return CompletionReply(ReplyStatus.UNAVAILABLE, detail=f"the provider raised {type(error).__name__}")


def _cost(reply: CompletionReply, provider: LLMProvider, keys: AdviserKeys) -> Decimal:
    today = datetime.now(tz=UTC).date()
    return cost_usd(reply.usage, price_of(keys.budget.prices, reply.model or provider.model, today))


def _has_price(reply: CompletionReply, keys: AdviserKeys) -> bool:
    prices = keys.budget.prices
    return not prices or not reply.model or any(row.model == reply.model for row in prices)
