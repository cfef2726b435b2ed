"""The adviser `volatility-regime`: names the regime of a market, and a table says what that means for quotes."""

from __future__ import annotations

import attrs

from mmframe.builtin.advisers._facts import DEPTH, TAPE, TOUCH
from mmframe.builtin.advisers._model_adviser import Brief, ModelAdviser
from mmframe.builtin.advisers._options import QuestionOptions
from mmframe.builtin.advisers._words import EXAMPLE_MARKET, FAILURE, QUESTION
from mmframe.domain.advice import Answer
from mmframe.errors import DomainError
from mmframe.plugin import AdviserSpec, BuildContext, option
from mmframe.plugin.replies import ChoiceField, NumberField, ReplySchema, TextField, Values

__all__ = ["VOLATILITY_REGIME", "RegimeSizes", "RegimeSpreads", "VolatilityRegimeOptions"]

_REGIMES = ("low", "medium", "high", "extreme")

_TASK = """\
You judge how lively each market is, for a market maker that quotes further out and smaller the livelier it is. \
Name its regime for the next minutes: low when prices hardly move, medium for usual trading, high when they move \
fast or in jumps, extreme when trading is disorderly: gaps, one-sided bursts, a thin book. When you cannot tell, \
answer medium and a low confidence."""


@attrs.frozen
class RegimeSpreads:
    """What each regime does to the distance of both quotes."""

    low: float = option(help="In a low regime.", default=1.0, minimum=0.5, maximum=20.0)
    medium: float = option(help="In a medium regime.", default=1.0, minimum=0.5, maximum=20.0)
    high: float = option(help="In a high regime.", default=1.5, minimum=0.5, maximum=20.0)
    extreme: float = option(help="In an extreme regime.", default=2.5, minimum=0.5, maximum=20.0)


@attrs.frozen
class RegimeSizes:
    """What each regime does to the size of both quotes."""

    low: float = option(help="In a low regime.", default=1.0, minimum=0.0, maximum=2.0)
    medium: float = option(help="In a medium regime.", default=1.0, minimum=0.0, maximum=2.0)
    high: float = option(help="In a high regime.", default=0.7, minimum=0.0, maximum=2.0)
    extreme: float = option(help="In an extreme regime.", default=0.4, minimum=0.0, maximum=2.0)


@attrs.frozen
class VolatilityRegimeOptions(QuestionOptions):
    """Options of `volatility-regime`: what each regime means for quotes. The model names it and no number.

    Raises:
        DomainError: If a livelier regime would quote closer or larger; otherwise as of `QuestionOptions`.
    """

    spread_multipliers: RegimeSpreads = option(
        help="Times the distance of both quotes, by regime.", factory=RegimeSpreads
    )
    size_multipliers: RegimeSizes = option(help="Times the size of both quotes, by regime.", factory=RegimeSizes)

    def __attrs_post_init__(self) -> None:
        QuestionOptions.__attrs_post_init__(self)
        spreads, sizes = _row(self.spread_multipliers), _row(self.size_multipliers)
        if list(spreads) != sorted(spreads):
            msg = f"spread_multipliers: expected none smaller than that of a calmer regime, was {_shown(spreads)}"
            raise DomainError(msg)
        if list(sizes) != sorted(sizes, reverse=True):
            msg = f"size_multipliers: expected none larger than that of a calmer regime, was {_shown(sizes)}"
            raise DomainError(msg)


def _row(table: RegimeSpreads | RegimeSizes) -> tuple[float, ...]:
    return table.low, table.medium, table.high, table.extreme


def _shown(row: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in row)


_SCHEMA = ReplySchema(
    (
        TextField(name="reason", help="Why, for people, in one short sentence.", length_max=200, example="usual"),
        ChoiceField(name="regime", help="How lively the market is.", choices=_REGIMES, example="medium"),
        NumberField(name="confidence", help="How sure you are, 0 not at all.", minimum=0.0, maximum=1.0, example=0.2),
    )
)


def _build(options: VolatilityRegimeOptions, context: BuildContext) -> ModelAdviser:
    spreads = dict(zip(_REGIMES, _row(options.spread_multipliers), strict=True))
    sizes = dict(zip(_REGIMES, _row(options.size_multipliers), strict=True))

    def answer(market: int, values: Values) -> Answer:
        regime = str(values["regime"])
        return Answer(
            market,
            bid_spread_multiplier=spreads[regime],
            ask_spread_multiplier=spreads[regime],
            size_multiplier=sizes[regime],
            confidence=float(values["confidence"]),
            regime=regime,
            note=str(values["reason"]),
        )

    brief = Brief("volatility-regime", _TASK, (*TOUCH, *DEPTH, *TAPE), _SCHEMA, answer)
    return ModelAdviser(brief, options, context)


VOLATILITY_REGIME = AdviserSpec(
    name="volatility-regime",
    summary="Asks how lively a market is; a table of yours says what that does to spread and size.",
    description=f"""\
Asks for the regime of each market: low, medium, high or extreme. What a regime does is yours to say:

    both distances from the mid x spread_multipliers[regime]
    both sizes x size_multipliers[regime]

So the model picks a word and never a number. A livelier regime cannot quote closer or larger: `check` refuses such a
table. Comes back besides: confidence, 0 to 1, and a reason for people.

{QUESTION}

{FAILURE}

{EXAMPLE_MARKET}

    {{"markets":{{"M1":{{"spread_bps":"2","touch_imbalance":"0.5","bid_touch_orders":"6",
    "ask_touch_orders":"2","position_share":"0.25","position_orders":"2","open_result_bps":"-9.99",
    "depth_imbalance":"0","bid_depth_orders":"10","ask_depth_orders":"10","bid_reach_bps":"2",
    "ask_reach_bps":"2","trade_count":"3","trades_span_s":"20","buy_share":"0.14","move_bps":"-5",
    "range_bps":"6"}}}}}}

Answered:

    {{"M1": {{"reason": "6 bps up and down in 20 s", "regime": "high", "confidence": 0.6}}}}

Then both quotes go 1.5 times as far from the mid, and both sizes are 0.7 of theirs.""",
    options=VolatilityRegimeOptions,
    build=_build,
)
