"""What `mmframe advice` found, as text for a person and as one JSON object for a machine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from mmframe.cli.text import columns, count, duration, iso_time, paint, plural, wall_time
from mmframe.domain.advice import AdviceVerdict
from mmframe.plugin.replies import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.advice import AdviceCall
    from mmframe.research.advice import AdviceLevel, ArmFigures, Comparison, Evaluation, Score

__all__ = [
    "calls_lines",
    "calls_object",
    "evaluation_lines",
    "evaluation_object",
    "score_lines",
    "score_object",
]

_NONE = "-"
_FINE = frozenset({AdviceVerdict.APPLIED, AdviceVerdict.CLAMPED, AdviceVerdict.SHADOW, AdviceVerdict.NOTED})

_NAME_MAX = 128
_DETAIL_MAX = 500


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """Return what a person reads: the verdict, then the figures behind it, then what they do not say."""
    asset = evaluation.quote_asset
    span = duration(evaluation.end_ns - evaluation.start_ns)
    lines = [
        paint(evaluation.strategy, bold=True) + f"  advice of {evaluation.adviser}: {plural(evaluation.calls, 'call')} "
        f"in {span}, {evaluation.cost_usd:.4g} USD",
        f"  {wall_time(evaluation.start_ns)} to {wall_time(evaluation.end_ns)}",
        "",
        *(paint(line, bold=True) if place == 0 else line for place, line in enumerate(_wrapped(evaluation.verdict))),
        "",
        paint(f"What each arm earned, {asset}", bold=True),
        *columns(
            [_earned(arm) for arm in evaluation.arms],
            headings=("arm", "net", "capture", "inventory", "fees", "API", "drawdown", "fills", "volume"),
            numeric=range(1, 9),
        ),
        "",
        paint("How it traded", bold=True),
        *columns(
            [_traded(arm) for arm in evaluation.arms],
            headings=("arm", *(f"after {horizon}" for horizon in evaluation.arms[0].markouts_bps), "position std"),
            numeric=range(1, 6),
        ),
        f"  Markouts: the mid against a fill's price, bps. Position: standard deviation of its value, {asset}.",
        "",
        paint(f"The model minus each arm, net, {asset}", bold=True),
        *columns(
            [_compared(comparison) for comparison in evaluation.comparisons],
            headings=("arm", "difference", "interval of 95 %", "p", "beyond noise", "blocks of"),
            numeric=(1, 3),
        ),
    ]
    if evaluation.shifts:
        beaten = evaluation.shifts_at_least_as_good
        lines.append(f"  Of {plural(len(evaluation.shifts), 'shift')}, {beaten} earned as much as the model or more.")
    lines += ["", paint("The advice, on the mean over time", bold=True), *_level_lines(evaluation.levels)]
    if any(arm.arm == "rule" for arm in evaluation.arms):
        lines += ["", paint("The rule", bold=True), *columns([("", evaluation.rule)], indent=0)]
    lines += ["", paint("What this does not say", bold=True), *columns([("-", text) for text in evaluation.caveats])]
    return lines


def evaluation_object(evaluation: Evaluation) -> dict[str, Any]:
    """Return a comparison for a machine."""
    found = msgspec.to_builtins(evaluation)
    found["comparisons"] = [
        {**msgspec.to_builtins(comparison), "is_beyond_noise": comparison.is_beyond_noise}
        for comparison in evaluation.comparisons
    ]
    start_ns, end_ns = found.pop("start_ns"), found.pop("end_ns")
    return {
        "verdict": found.pop("verdict"),
        "caveats": found.pop("caveats"),
        "start": iso_time(start_ns),
        "end": iso_time(end_ns),
        **found,
    }


def score_lines(scores: Sequence[Score], calls: Sequence[AdviceCall]) -> list[str]:
    """Return what a person reads of forecasts."""
    if not scores:
        return [
            f"No forecast of a direction in {plural(len(calls), 'call')}: there is nothing to score.",
            "Advisers that forecast are `direction`, `market-decision` and `sentiment`.",
        ]
    lines: list[str] = []
    for each in scores:
        head = f"{clean_text(each.adviser, _NAME_MAX)}  {each.market} after {duration(int(each.horizon_s * 1e9))}"
        lines += [paint(head, bold=True), *columns(_score_rows(each)), ""]
        if each.buckets:
            lines += [
                *columns(
                    [
                        (
                            f"{bucket.low:.0%} to {bucket.high:.0%}",
                            count(bucket.count),
                            f"{bucket.mean_confidence:.1%}",
                            f"{bucket.hit_rate:.1%}",
                        )
                        for bucket in each.buckets
                    ],
                    headings=("confidence", "forecasts", "said", "came true"),
                    numeric=(1, 2, 3),
                ),
                "",
            ]
    return [*lines, "Scores of one record are one draw; overlapping forecasts tell less than their number says."]


def score_object(scores: Sequence[Score]) -> dict[str, Any]:
    """Return scores for a machine."""
    return {"scores": msgspec.to_builtins(list(scores))}


def calls_lines(calls: Sequence[AdviceCall]) -> list[str]:
    """Return one row a question, and the sums."""
    if not calls:
        return ["No model was asked anything."]
    rows = [
        (
            wall_time(call.requested_ns).removesuffix(" UTC"),
            # A file of calls may be anybody's.
            clean_text(call.adviser, _NAME_MAX),
            clean_text(call.reply.model or call.model, _NAME_MAX),
            duration(call.reply.latency_ns),
            count(call.reply.usage.input_tokens),
            count(call.reply.usage.output_tokens),
            f"{call.cost_usd:f}",
            clean_text(_became(call), _DETAIL_MAX),
        )
        for call in calls
    ]
    headings = ("asked, UTC", "adviser", "model", "took", "in", "out", "USD", "what became of it")
    totals = _totals(calls)
    tally = ", ".join(f"{name} {count(number)}" for name, number in totals["verdicts"].items())
    tokens = f"{totals['input_tokens']:,} tokens in and {totals['output_tokens']:,} out"
    return [
        *columns(rows, headings=headings, indent=0, numeric=(3, 4, 5, 6)),
        "",
        f"{plural(len(calls), 'call')}, {tokens}, {totals['cost_usd']} USD; answers: {tally or 'none'}",
    ]


def calls_object(calls: Sequence[AdviceCall]) -> dict[str, Any]:
    """Return calls for a machine."""
    return {
        "calls": [
            {
                **msgspec.to_builtins(call),
                "requested": iso_time(call.requested_ns),
                "applied": iso_time(call.applied_ns),
            }
            for call in calls
        ],
        "totals": {"calls": len(calls), **_totals(calls)},
    }


def _earned(arm: ArmFigures) -> tuple[str, ...]:
    return (
        arm.arm,
        f"{arm.net_pnl:+.4f}",
        f"{arm.spread_capture:+.4f}",
        f"{arm.inventory_pnl:+.4f}",
        f"{arm.fees:+.4f}" if arm.fees else "0",
        f"{-arm.api_cost:+.4f}" if arm.api_cost else "0",
        f"{arm.max_drawdown:.4f}",
        f"{arm.fills:,.0f}",
        f"{arm.volume:,.0f}",
    )


def _traded(arm: ArmFigures) -> tuple[str, ...]:
    markouts = (_NONE if value is None else f"{value:+.2f}" for value in arm.markouts_bps.values())
    return (arm.arm, *markouts, f"{arm.inventory_std:,.2f}")


def _compared(comparison: Comparison) -> tuple[str, ...]:
    return (
        comparison.arm,
        f"{comparison.difference:+.4f}",
        f"{comparison.low:+.4f} to {comparison.high:+.4f}",
        f"{comparison.p_adjusted:.3f}",
        "yes" if comparison.is_beyond_noise else "no",
        duration(int(comparison.block_s * 1e9)),
    )


def _level_lines(levels: Sequence[AdviceLevel]) -> list[str]:
    rows = [
        (
            level.market,
            f"{level.in_force_share:.1%}",
            f"{level.changing_share:.1%}",
            f"x{level.bid_spread_multiplier:.3f}",
            f"x{level.ask_spread_multiplier:.3f}",
            f"x{level.size_multiplier:.3f}",
            f"{level.skew_bps:+.3f} bps",
            f"x{level.position_scale:.3f}",
        )
        for level in levels
    ]
    headings = ("market", "in force", "changing", "bid spread", "ask spread", "size", "skew", "position")
    return columns(rows, headings=headings, numeric=range(1, 8))


def _score_rows(each: Score) -> list[tuple[str, str]]:
    forecasts = f"{count(each.forecasts)}, of which {count(each.unchanged)} with an unchanged mid"
    if each.unresolved:
        forecasts += f"; {count(each.unresolved)} more without a mid at both ends"
    rows = [("forecasts", forecasts)]
    if each.hit_rate is not None:
        rows.append(("hits", f"{each.hit_rate:.1%}: {count(each.hits)} of {count(each.hits + each.misses)}"))
    if each.brier is not None:
        rows.append(("Brier", f"{each.brier:.4f}; a constant confidence would score {each.brier_of_base_rate:.4f}"))
    if each.information_coefficient is not None:
        interval = f"{each.information_low:+.3f} to {each.information_high:+.3f}"
        chance = f"p {each.information_p:.3f}, blocks of {each.block}"
        rows.append(("IC", f"{each.information_coefficient:+.3f}, {interval} ({chance})"))
    else:
        rows.append(("IC", "too few forecasts, or no variation"))
    if each.mean_return_bps is not None:
        rows.append(("return", f"{each.mean_return_bps:+.3f} bps on the mean, in the direction of the forecast"))
    return rows


def _became(call: AdviceCall) -> str:
    verdicts = Counter(verdict.verdict.value for verdict in call.verdicts)
    parts = [name if number == 1 else f"{number} {name}" for name, number in verdicts.items()]
    text = ", ".join(parts) or call.reply.status.value
    if all(verdict.verdict in _FINE for verdict in call.verdicts):
        # What was held within which bound is in the record, for --json.
        return text
    detail = next((verdict.detail for verdict in call.verdicts if verdict.detail), call.reply.detail)
    return f"{text}: {detail}" if detail else text


def _totals(calls: Sequence[AdviceCall]) -> dict[str, Any]:
    verdicts = Counter(verdict.verdict.value for call in calls for verdict in call.verdicts)
    return {
        "input_tokens": sum(call.reply.usage.input_tokens for call in calls),
        "output_tokens": sum(call.reply.usage.output_tokens for call in calls),
        "cost_usd": f"{sum(call.cost_usd for call in calls):f}",
        "verdicts": dict(verdicts.most_common()),
    }


def _wrapped(sentences: Sequence[str]) -> list[str]:
    """Return each sentence at the terminal's width."""
    return [line for sentence in sentences for line in columns([("", sentence)], indent=0)]
