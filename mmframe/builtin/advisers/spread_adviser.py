"""The adviser `spread-adviser`: how far out, how large and how lopsided quotes should be for the next minutes."""

from __future__ import annotations

import attrs

from mmframe.builtin.advisers._facts import DEPTH, TAPE, TOUCH
from mmframe.builtin.advisers._model_adviser import Brief, ModelAdviser
from mmframe.builtin.advisers._options import QuestionOptions
from mmframe.builtin.advisers._words import EXAMPLE_MARKET, FAILURE, QUESTION
from mmframe.domain.advice import Answer
from mmframe.plugin import AdviserSpec, BuildContext, option
from mmframe.plugin.replies import NumberField, ReplySchema, TextField, Values

__all__ = ["SPREAD_ADVISER", "SpreadAdviserOptions"]

_TASK = """\
You advise a market maker that keeps one order to buy and one to sell in each market, both near the middle price, \
and earns the spread between them. Fast code sets these quotes; you lean on them for the next minutes. Say of each \
market how risky it is to be bought from and to be sold to now. Raise the multiplier of a side that is likely to \
be traded against just before the price moves through it, lower sizes and position_scale when trading is one-sided \
or disorderly, and use skew_bps to work off a position that stands against the market. When nothing speaks for a \
change, or you cannot tell, answer multipliers 1, skew_bps 0, position_scale 1 and a low confidence."""


@attrs.frozen
class SpreadAdviserOptions(QuestionOptions):
    """Options of `spread-adviser`: the ranges that a reply is held to; the strategy's own bounds come on top.

    Raises:
        DomainError: As of `QuestionOptions`.
    """

    min_spread_multiplier: float = option(
        help="Smallest spread multiplier that a reply may name.", default=0.5, minimum=0.1, maximum=1.0
    )
    max_spread_multiplier: float = option(
        help="Largest spread multiplier that a reply may name.", default=5.0, minimum=1.0, maximum=20.0
    )
    max_size_multiplier: float = option(
        help="Largest size multiplier that a reply may name.", default=1.0, minimum=1.0, maximum=2.0
    )
    max_skew_bps: float = option(
        help="Largest shift, up or down, that a reply may name.", default=20.0, unit="bps", minimum=0.0, maximum=100.0
    )


def _schema(options: SpreadAdviserOptions) -> ReplySchema:
    low, high = options.min_spread_multiplier, options.max_spread_multiplier
    skew = options.max_skew_bps
    return ReplySchema(
        (
            TextField(name="reason", help="Why, for people, in one short sentence.", length_max=200, example="calm"),
            NumberField(
                name="bid_spread_multiplier",
                help="Times the distance of the buy order from the middle; above 1 is further out and safer.",
                minimum=low,
                maximum=high,
                example=1.0,
            ),
            NumberField(
                name="ask_spread_multiplier",
                help="The same of the sell order.",
                minimum=low,
                maximum=high,
                example=1.0,
            ),
            NumberField(
                name="size_multiplier",
                help="Times the size of both orders; 0 quotes nothing.",
                minimum=0.0,
                maximum=options.max_size_multiplier,
                example=1.0,
            ),
            NumberField(
                name="position_scale",
                help="Share of the largest position that may be held; 1 is all of it.",
                minimum=0.0,
                maximum=1.0,
                example=1.0,
            ),
            NumberField(
                name="skew_bps",
                help="Shift of both orders, bps of the middle price; positive is up: buys sooner, sells later.",
                minimum=-skew,
                maximum=skew,
                example=0.0,
            ),
            NumberField(
                name="confidence",
                help="How sure you are, 0 not at all.",
                minimum=0.0,
                maximum=1.0,
                example=0.2,
            ),
        )
    )


def _answer(market: int, values: Values) -> Answer:
    return Answer(
        market,
        bid_spread_multiplier=float(values["bid_spread_multiplier"]),
        ask_spread_multiplier=float(values["ask_spread_multiplier"]),
        size_multiplier=float(values["size_multiplier"]),
        position_scale=float(values["position_scale"]),
        skew_bps=float(values["skew_bps"]),
        confidence=float(values["confidence"]),
        note=str(values["reason"]),
    )


def _build(options: SpreadAdviserOptions, context: BuildContext) -> ModelAdviser:
    brief = Brief("spread-adviser", _TASK, (*TOUCH, *DEPTH, *TAPE), _schema(options), _answer)
    return ModelAdviser(brief, options, context)


SPREAD_ADVISER = AdviserSpec(
    name="spread-adviser",
    summary="Asks for spread multipliers of each side, size, position scale and skew.",
    description=f"""\
Asks how risky it is to be bought from and to be sold to in the next minutes. Comes back, of each market:

    bid_spread_multiplier, ask_spread_multiplier   times the distance of that quote from the mid; above 1 is further out
    size_multiplier                                times both sizes; 0 quotes nothing
    position_scale                                 share of the largest position; 1 is all of it
    skew_bps                                       shift of both quotes, bps of the mid; positive is up
    confidence                                     0 to 1
    reason                                         for people

Each number is held to the ranges of the options as it is read, then to `[adviser.bounds]`: towards less risk at once,
towards more a little at a time.

{QUESTION}

{FAILURE}

{EXAMPLE_MARKET}

    {{"markets":{{"M1":{{"spread_bps":"2","touch_imbalance":"0.5","bid_touch_orders":"6",
    "ask_touch_orders":"2","position_share":"0.25","position_orders":"2","open_result_bps":"-9.99",
    "depth_imbalance":"0","bid_depth_orders":"10","ask_depth_orders":"10","bid_reach_bps":"2",
    "ask_reach_bps":"2","trade_count":"3","trades_span_s":"20","buy_share":"0.14","move_bps":"-5",
    "range_bps":"6"}}}}}}

Answered:

    {{"M1": {{"reason": "sellers press and we are long", "bid_spread_multiplier": 1.6, "ask_spread_multiplier": 1,
    "size_multiplier": 0.8, "position_scale": 0.5, "skew_bps": -2, "confidence": 0.7}}}}

Then the bid goes 1.6 times as far from the mid, both sizes are 0.8 of theirs, the position is kept within half of its
limit and both quotes stand 2 bps lower, as far as the bounds allow.""",
    options=SpreadAdviserOptions,
    build=_build,
)
