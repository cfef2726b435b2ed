"""Did the advice help? One recording, the same strategy with five kinds of advice, and what differs beyond noise.

All arms run through the engine and the simulated venue with the same history, seed, latency and fills model; only the
advice differs, and it enters at the times at which the model's did.
"""

from __future__ import annotations

from math import cbrt, ceil
from random import Random
from typing import TYPE_CHECKING

import attrs
import msgspec

from mmframe.builtin.optimizers.advice import AdviceParams
from mmframe.config.advice_tables import AdviserKeys
from mmframe.domain.advice import AdviceCall
from mmframe.domain.kinds import Mode
from mmframe.errors import DataError, DomainError, UsageError
from mmframe.plugin.rules import OptimizerRule
from mmframe.registry import compose
from mmframe.research.advice.arms import ArmFigures, Curves, Grid, arm_figures, run_arm
from mmframe.research.advice.rule import RULE_TEXT, rule_updates
from mmframe.research.advice.series import (
    as_neutral,
    constant_updates,
    in_force,
    mean_advice,
    shifted_updates,
    updates_of,
)
from mmframe.research.advice.statistics import Interval, adjusted, fitting_block, total
from mmframe.research.advice.tape import read_tapes, unwatched
from mmframe.research.advice.verdict import Comparison, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mmframe.domain.records import AdviceUpdate
    from mmframe.domain.views import Advice
    from mmframe.ports import History
    from mmframe.research.advice.series import InForce
    from mmframe.research.advice.tape import Watch
    from mmframe.runtime.plan import Plan

__all__ = ["ARMS", "AdviceLevel", "Choices", "Evaluation", "calls_of", "evaluate"]

ARMS = ("none", "constant", "shifted", "rule", "model")
"""Without advice; the model's mean level; the model's advice at other times; a simple rule; the model."""

_LOOK_AHEAD = (
    "A model may have been trained on texts from after the recording and know how it went; only replies that were "
    "recorded live, at the time, are free of that."
)
_BLOCKS_MAX = 1_440
"""Blocks of time a recording is cut into at most; a minute each for a day."""
_SHIFT_LEAST = 0.05
"""Of the span: advice that is moved by less is still nearly the model's."""
_NS_PER_S = 1_000_000_000
_USD_LIKE = frozenset({"USD", "USDT", "USDC", "FDUSD", "BUSD", "DAI"})


@attrs.frozen(kw_only=True)
class Choices:
    """How to compare.

    Attributes:
        arms: Besides the model: names of `ARMS`.
        shifts: How many random shifts the arm `shifted` is the mean of.
        seed: Of shifts and bootstrap.
        block_ns: Length of a block of the bootstrap; None for what the differences' own dependence asks for.
        step_ns: Length of a block of time in which profits are paired; None for up to 1,440 blocks of whole seconds.
        usd_rate: Quote units for a USD of API cost; None takes 1 where the quote asset is a dollar.
        adviser: Whose calls; None where there is one adviser.
        duration: Only so much of the recording, text such as `30m`.
        blocked: Plugins that must not be imported.
    """

    arms: tuple[str, ...] = ARMS
    shifts: int = 5
    seed: int = 0
    block_ns: int | None = None
    step_ns: int | None = None
    usd_rate: float | None = None
    adviser: str | None = None
    duration: str | None = None
    blocked: frozenset[str] = frozenset()


class AdviceLevel(msgspec.Struct, frozen=True):
    """How much advice there was in a market, and at which level on the mean over time."""

    market: str
    updates: int
    in_force_share: float
    """Of the time; at other times it was neutral."""
    changing_share: float
    """Of the time in which it was in force, sure enough to be heeded, and changed anything."""
    bid_spread_multiplier: float
    ask_spread_multiplier: float
    size_multiplier: float
    skew_bps: float
    position_scale: float


class Evaluation(msgspec.Struct, frozen=True):
    """What was found. Money in quote units."""

    strategy: str
    adviser: str
    quote_asset: str
    start_ns: int
    end_ns: int
    step_s: float
    seed: int
    calls: int
    """Within the recording."""
    calls_outside: int
    """Before it or after it: not used, and not charged."""
    cost_usd: float
    usd_rate: float
    levels: tuple[AdviceLevel, ...]
    arms: tuple[ArmFigures, ...]
    shifts: tuple[ArmFigures, ...]
    comparisons: tuple[Comparison, ...]
    shifts_at_least_as_good: int
    """Of the shifts, before API cost: how many earned what the model earned, or more."""
    verdict: tuple[str, ...]
    caveats: tuple[str, ...]
    rule: str
    curves: dict[str, tuple[float, ...]]
    """By arm: net profit at the end of each block of time."""


def calls_of(calls: Sequence[AdviceCall], adviser: str | None) -> tuple[AdviceCall, ...]:
    """Return the calls of one adviser.

    Raises:
        UsageError: If there is none of it, or several advisers and none is named.
    """
    names = sorted({call.adviser for call in calls})
    if not names:
        msg = "calls: expected at least one question to a model, was none"
        raise UsageError(msg, hint="a run writes them to its journal; name that, or a file with one call a line")
    if adviser is None and len(names) > 1:
        msg = f"adviser: expected one of {', '.join(map(repr, names))}, was none"
        raise UsageError(msg, hint="what two advisers did together cannot be told apart; name one with --adviser")
    if adviser is not None and adviser not in names:
        msg = f"adviser: expected one of {', '.join(map(repr, names))}, was {adviser!r}"
        raise UsageError(msg)
    return tuple(call for call in calls if adviser in {None, call.adviser})


def evaluate(
    path: Path, calls: Sequence[AdviceCall], choices: Choices | None = None, *, watch: Watch | None = None
) -> Evaluation:
    """Compare what a strategy earns with a model's advice with what it earns with other advice, on its recording.

    Args:
        path: The strategy file; its `[history]` is the recording.
        calls: To the model, of a journal or a file of calls.
        choices: How to compare.
        watch: Shows how far the recording has been read, once for each run over it.

    Raises:
        ConfigErrors: If the strategy file has problems.
        UsageError: If a choice cannot be, or an API cost has no rate.
        DataError: If no call is from the time of the recording, or the recording cannot be read or is too short.
    """
    return _Study(path, calls_of(calls, (choices or Choices()).adviser), choices or Choices(), watch or unwatched).run()


class _Study:
    """The steps of one comparison, and what they share."""

    def __init__(self, path: Path, calls: Sequence[AdviceCall], choices: Choices, watch: Watch) -> None:
        _require(choices)
        self._path = path
        self._choices = choices
        self._watch = watch
        self._plan = self._compose()
        self._instruments = self._plan.instruments
        # Read by itself: an arm that is halted does not see the end.
        recorded = read_tapes(path, limit_ns=self._plan.duration_ns, blocked=choices.blocked, watch=watch)
        self._tapes = tuple(tape for _, tape in recorded)
        self._start_ns = min(tape.start_ns for tape in self._tapes)
        self._end_ns = max(tape.end_ns for tape in self._tapes)
        self._calls = [call for call in calls if self._start_ns <= call.applied_ns < self._end_ns]
        self._outside = len(calls) - len(self._calls)
        if not self._calls:
            msg = f"calls: expected some from the time of the recording, was none of {len(calls)}"
            raise DataError(
                msg, file=str(self._path), hint="the calls must have been made about this very market at this very time"
            )
        self._adviser = self._calls[0].adviser
        self._keys = next((a.keys for a in self._plan.advisers if a.name == self._adviser), AdviserKeys())
        self._min_confidence = _least_confidence(self._plan)
        self._grid = Grid.over(self._start_ns, self._end_ns, self._step_ns())
        self._updates = [updates_of(self._calls, market) for market in range(len(self._instruments))]
        self._stretches = [in_force(updates, self._start_ns, self._end_ns) for updates in self._updates]
        self._rate = self._usd_rate()

    def run(self) -> Evaluation:
        """Run all arms and compare them."""
        figures: dict[str, ArmFigures] = {}
        curves: dict[str, Curves] = {}
        shifts: list[tuple[ArmFigures, Curves]] = []
        wanted = [arm for arm in ARMS if arm in self._choices.arms or arm == "model"]
        runs = len(wanted) + (self._choices.shifts - 1 if "shifted" in wanted else 0)
        done = 0
        for arm in wanted:
            if arm == "shifted":
                for offset_ns in self._offsets():
                    done += 1
                    shifts.append(
                        self._arm(
                            arm,
                            self._shifted(offset_ns),
                            f"shifted by {offset_ns // 60_000_000_000} min ({done} of {runs})",
                        )
                    )
                figures[arm], curves[arm] = _mean(shifts)
                continue
            done += 1
            figures[arm], curves[arm] = self._arm(arm, self._advice(arm), f"{arm} ({done} of {runs})")
        comparisons = self._comparisons(curves)
        beaten = sum(
            figure.net_pnl + figure.api_cost >= figures["model"].net_pnl + figures["model"].api_cost
            for figure, _ in shifts
        )
        levels = self._levels()
        return Evaluation(
            strategy=self._plan.name,
            adviser=self._adviser,
            quote_asset=self._instruments[0].quote,
            start_ns=self._start_ns,
            end_ns=self._end_ns,
            step_s=self._step_ns() / _NS_PER_S,
            seed=self._choices.seed,
            calls=len(self._calls),
            calls_outside=self._outside,
            cost_usd=float(sum(call.cost_usd for call in self._calls)),
            usd_rate=self._rate,
            levels=levels,
            arms=tuple(figures.values()),
            shifts=tuple(figure for figure, _ in shifts),
            comparisons=comparisons,
            shifts_at_least_as_good=beaten,
            verdict=verdict(
                comparisons,
                self._instruments[0].quote,
                changes_anything=any(level.changing_share > 0.0 for level in levels),
            ),
            caveats=self._caveats(figures, shifts),
            rule=RULE_TEXT,
            curves={arm: tuple(_running(curve.net)) for arm, curve in curves.items()},
        )

    # What each arm is given.

    def _advice(self, arm: str) -> list[AdviceUpdate]:
        found: list[AdviceUpdate] = []
        for market in range(len(self._instruments)):
            if arm == "model":
                found += self._updates[market]
            elif arm == "constant":
                found += constant_updates(self._mean_of(market), market, self._start_ns)
            elif arm == "rule":
                ttl_ns = int(self._keys.ttl_s * _NS_PER_S)
                found += rule_updates(self._tapes[market], market, self._calls, bounds=self._keys.bounds, ttl_ns=ttl_ns)
        return sorted(found, key=lambda update: update.receive_ns)

    def _shifted(self, offset_ns: int) -> list[AdviceUpdate]:
        span = {"start_ns": self._start_ns, "end_ns": self._end_ns, "offset_ns": offset_ns}
        found = [
            update
            for market, stretches in enumerate(self._stretches)
            for update in shifted_updates(stretches, market, **span)
        ]
        return sorted(found, key=lambda update: update.receive_ns)

    def _offsets(self) -> list[int]:
        """Return random shifts, one in each of as many equal parts, so that they do not crowd."""
        chance = Random(f"{self._choices.seed}/shifts")  # noqa: S311 - a simulation, never a secret
        span = self._end_ns - self._start_ns
        room = 1.0 - 2.0 * _SHIFT_LEAST
        count = self._choices.shifts
        return [int(span * (_SHIFT_LEAST + room * (number + chance.random()) / count)) for number in range(count)]

    def _mean_of(self, market: int) -> Advice:
        return mean_advice(self._stretches[market], self._start_ns, self._end_ns, min_confidence=self._min_confidence)

    # Running and measuring.

    def _compose(self) -> Plan:
        choices = self._choices
        plan = compose(
            self._path,
            mode=Mode.BACKTEST,
            blocked=choices.blocked,
            duration=choices.duration,
            no_journal=True,
            with_sinks=False,
        )
        quotes = sorted({instrument.quote for instrument in plan.instruments})
        if len(quotes) > 1:
            msg = f"markets: expected one quote asset, was {', '.join(quotes)}"
            raise UsageError(msg, hint="profits in several assets cannot be added; evaluate one strategy file for each")
        return plan

    def _arm(self, arm: str, updates: Sequence[AdviceUpdate], title: str) -> tuple[ArmFigures, Curves]:
        plan = self._compose()
        with self._watch(_history(plan), title) as watched:
            result, fills = run_arm(attrs.evolve(plan, history=watched), updates)
        return arm_figures(
            arm,
            instruments=self._instruments,
            tapes=self._tapes,
            grid=self._grid,
            result=result,
            fills=fills,
            costs=self._costs(is_asked=arm in {"model", "shifted"}),
        )

    def _costs(self, *, is_asked: bool) -> list[float]:
        """Return the API cost of each block. A shifted model is asked as often, so that timing alone differs."""
        costs = [0.0] * (len(self._grid.times_ns) - 1)
        for call in self._calls if is_asked else ():
            costs[self._grid.place(call.applied_ns)] += float(call.cost_usd) * self._rate
        return costs

    def _usd_rate(self) -> float:
        rate, quote = self._choices.usd_rate, self._instruments[0].quote
        if rate is not None:
            return rate
        if quote in _USD_LIKE or not any(call.cost_usd for call in self._calls):
            return 1.0
        msg = f"usd_rate: expected how many {quote} a USD of API cost is, was none"
        raise UsageError(msg, hint="give it with --usd-rate")

    def _step_ns(self) -> int:
        if self._choices.step_ns is not None:
            return self._choices.step_ns
        return max(1, ceil((self._end_ns - self._start_ns) / _BLOCKS_MAX / _NS_PER_S)) * _NS_PER_S

    def _comparisons(self, curves: dict[str, Curves]) -> tuple[Comparison, ...]:
        others = [arm for arm in curves if arm != "model"]
        found: list[tuple[str, int, Interval]] = []
        for number, arm in enumerate(others):
            differences = [model - other for model, other in zip(curves["model"].net, curves[arm].net, strict=True)]
            block = self._block(differences)
            try:
                interval = total(differences, block=block, seed=self._choices.seed * len(ARMS) + number)
            except DomainError as error:
                msg = f"the recording is too short to tell a difference from noise: {error.message}"
                raise DataError(msg, file=str(self._path), hint=error.hint) from None
            found.append((arm, block, interval))
        together = adjusted([interval.p_value for _, _, interval in found])
        return tuple(
            Comparison(
                arm=arm,
                difference=interval.estimate,
                low=interval.low,
                high=interval.high,
                p_value=interval.p_value,
                p_adjusted=p_adjusted,
                block_s=block * self._step_ns() / _NS_PER_S,
            )
            for (arm, block, interval), p_adjusted in zip(found, together, strict=True)
        )

    def _block(self, differences: Sequence[float]) -> int:
        if self._choices.block_ns is not None:
            return max(1, round(self._choices.block_ns / self._step_ns()))
        # Volatility comes in clusters that leave no trace in the correlation of increments: never shorter than n^(1/3).
        return max(fitting_block(differences), ceil(cbrt(len(differences))))

    def _levels(self) -> tuple[AdviceLevel, ...]:
        return tuple(self._level(market) for market in range(len(self._instruments)))

    def _level(self, market: int) -> AdviceLevel:
        stretches, mean = self._stretches[market], self._mean_of(market)
        span = self._end_ns - self._start_ns

        def share(counts: Callable[[InForce], bool]) -> float:
            return sum(stretch.end_ns - stretch.begin_ns for stretch in stretches if counts(stretch)) / span

        return AdviceLevel(
            market=self._instruments[market].symbol,
            updates=len(self._updates[market]),
            in_force_share=share(lambda _: True),
            changing_share=share(
                lambda stretch: stretch.advice.confidence >= self._min_confidence and not as_neutral(stretch.advice)
            ),
            bid_spread_multiplier=mean.bid_spread_multiplier,
            ask_spread_multiplier=mean.ask_spread_multiplier,
            size_multiplier=mean.size_multiplier,
            skew_bps=mean.skew_bps,
            position_scale=mean.position_scale,
        )

    def _caveats(self, figures: dict[str, ArmFigures], shifts: Sequence[tuple[ArmFigures, Curves]]) -> tuple[str, ...]:
        hours = (self._end_ns - self._start_ns) / 3.6e12
        found = [
            f"One recording of {hours:.1f} h is one draw: the intervals tell of chance within it, not of other days.",
            _LOOK_AHEAD,
            "Fills are simulated, with the queue and latency of [venue.backtest], and the market never answers us.",
            "The intervals stand each for itself; the verdict allows for several comparisons at once (Holm).",
        ]
        if not _has_advice_stage(self._plan):
            found.insert(
                0, 'No stage `use = "advice"` is in the chain: unless another one reads advice, nothing can differ.'
            )
        if self._outside:
            found.append(
                f"{self._outside} calls are from outside of the recording's time; they are neither used nor charged."
            )
        every = [*figures.values(), *(figure for figure, _ in shifts)]
        halted = sorted({figure.arm for figure in every if figure.ended_because == "halted"})
        if halted:
            found.append(f"Halted by a limit before the end, and flat in profit from there: {', '.join(halted)}.")
        return tuple(found)


def _require(choices: Choices) -> None:
    unknown = [arm for arm in choices.arms if arm not in ARMS]
    if unknown:
        msg = f"arms: expected some of {', '.join(ARMS)}, was {', '.join(unknown)}"
        raise UsageError(msg)
    if not set(choices.arms) - {"model"}:
        msg = "arms: expected at least one to compare the model with, was none"
        raise UsageError(msg)
    if choices.shifts < 1:
        msg = f"shifts: expected at least 1, was {choices.shifts}"
        raise UsageError(msg)
    for name in ("block_ns", "step_ns"):
        value = getattr(choices, name)
        if value is not None and value <= 0:
            msg = f"{name}: expected a time above 0, was {value}"
            raise UsageError(msg)
    if choices.usd_rate is not None and not 0.0 < choices.usd_rate < float("inf"):
        msg = f"usd_rate: expected a number above 0, was {choices.usd_rate!r}"
        raise UsageError(msg)


def _history(plan: Plan) -> History:
    if plan.history is None:
        msg = "a backtest without problems has a history"
        raise AssertionError(msg)
    return plan.history


def _least_confidence(plan: Plan) -> float:
    """Return the confidence below which the stages that apply advice pass it over."""
    return min((params.min_confidence for params in _advice_stages(plan)), default=0.0)


def _has_advice_stage(plan: Plan) -> bool:
    return bool(_advice_stages(plan))


def _advice_stages(plan: Plan) -> list[AdviceParams]:
    stages = [named.optimizer for pipeline in plan.pipelines for named in pipeline.optimizers]
    rules = [stage.params for stage in stages if isinstance(stage, OptimizerRule)]
    return [params for params in rules if isinstance(params, AdviceParams)]


def _mean(shifts: Sequence[tuple[ArmFigures, Curves]]) -> tuple[ArmFigures, Curves]:
    """Return the mean over shifts, of each figure and of each block of time."""
    figures, curves = [figure for figure, _ in shifts], [curve for _, curve in shifts]

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    markouts = {}
    for horizon in figures[0].markouts_bps:
        known = [value for figure in figures if (value := figure.markouts_bps[horizon]) is not None]
        markouts[horizon] = mean(known) if known else None
    numbers = {
        name: mean([getattr(figure, name) for figure in figures])
        for name in ArmFigures.__struct_fields__
        if isinstance(getattr(figures[0], name), float)
    }
    ended = figures[0].ended_because if len({figure.ended_because for figure in figures}) == 1 else "several ways"
    together = msgspec.structs.replace(
        figures[0], **numbers, markouts_bps=markouts, decision_hash="", ended_because=ended
    )
    return together, Curves(
        *(
            tuple(map(mean, zip(*(getattr(curve, name) for curve in curves), strict=True)))
            for name in ("increments", "costs", "positions")
        )
    )


def _running(increments: Sequence[float]) -> list[float]:
    level, found = 0.0, []
    for increment in increments:
        level += increment
        found.append(level)
    return found
