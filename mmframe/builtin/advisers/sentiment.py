"""The adviser `sentiment`: reads executions and top levels one by one, for pressure and for stress."""

from __future__ import annotations

import attrs

from mmframe.builtin.advisers._facts import LEVELS, TOUCH, TRADES
from mmframe.builtin.advisers._model_adviser import Brief, ModelAdviser, scaled
from mmframe.builtin.advisers._options import QuestionOptions
from mmframe.builtin.advisers._words import EXAMPLE_MARKET, FAILURE, QUESTION
from mmframe.domain.advice import Answer
from mmframe.plugin import AdviserSpec, BuildContext, option
from mmframe.plugin.replies import NumberField, ReplySchema, TextField, Values

__all__ = ["SENTIMENT", "SentimentOptions"]

_TASK = """\
You read the mood of each market from its newest executions and the top of its book, for a market maker that has \
to be careful when one side presses. Say which side presses: takers who buy, levels that fill up again below, \
prices that hold after sales speak for buyers, and the other way round. Say besides how stressed trading is: \
bursts, large sizes that eat several levels, a book that does not come back. When nothing stands out, answer \
sentiment 0, stress 0 and a low confidence."""


@attrs.frozen
class SentimentOptions(QuestionOptions):
    """Options of `sentiment`. Each level and each execution is told, so more of them cost more.

    Raises:
        DomainError: As of `QuestionOptions`.
    """

    levels: int = option(help="Levels of each side that are told.", default=5, minimum=1, maximum=50)
    trades: int = option(help="Newest executions that are told.", default=20, minimum=0, maximum=500)
    max_skew_bps: float = option(
        help="Shift of both quotes at a sentiment of 1 and a confidence of 1.",
        default=3.0,
        unit="bps",
        minimum=0.0,
        maximum=100.0,
    )
    max_spread_multiplier: float = option(
        help="Times the distance of both quotes at a stress of 1.", default=3.0, minimum=1.0, maximum=20.0
    )


_SCHEMA = ReplySchema(
    (
        TextField(name="reason", help="Why, for people, in one short sentence.", length_max=200, example="balanced"),
        NumberField(
            name="sentiment",
            help="Who presses: -1 sellers, 0 nobody, 1 buyers.",
            minimum=-1.0,
            maximum=1.0,
            example=0.0,
        ),
        NumberField(
            name="stress", help="How disorderly trading is: 0 calm, 1 panic.", minimum=0.0, maximum=1.0, example=0.0
        ),
        NumberField(name="confidence", help="How sure you are, 0 not at all.", minimum=0.0, maximum=1.0, example=0.2),
    )
)


def _build(options: SentimentOptions, context: BuildContext) -> ModelAdviser:
    def answer(market: int, values: Values) -> Answer:
        confidence = float(values["confidence"])
        multiplier = 1.0 + float(values["stress"]) * (options.max_spread_multiplier - 1.0)
        return Answer(
            market,
            bid_spread_multiplier=multiplier,
            ask_spread_multiplier=multiplier,
            skew_bps=scaled(float(values["sentiment"]) * confidence, options.max_skew_bps),
            confidence=confidence,
            note=str(values["reason"]),
        )

    return ModelAdviser(Brief("sentiment", _TASK, (*TOUCH, *LEVELS, *TRADES), _SCHEMA, answer), options, context)


SENTIMENT = AdviserSpec(
    name="sentiment",
    summary="Asks which side presses and how stressed trading is, from single executions and levels.",
    description=f"""\
Shows the model single executions and single levels, and asks which side presses, sentiment from -1 (sellers) to 1
(buyers), and how stressed trading is, stress from 0 to 1; besides confidence from 0 to 1 and a reason for people.

    both distances from the mid x (1 + stress x (max_spread_multiplier - 1))
    skew_bps = sentiment x confidence x max_skew_bps     positive is up

Confidence makes the shift smaller and not the widening: that is the safe side to be wrong on. Stress never brings a
quote closer.

{QUESTION}

{FAILURE}

{EXAMPLE_MARKET}

    {{"markets":{{"M1":{{"spread_bps":"2","touch_imbalance":"0.5","bid_touch_orders":"6",
    "ask_touch_orders":"2","position_share":"0.25","position_orders":"2","open_result_bps":"-9.99",
    "bids":[["-1","6"],["-2","4"]],"asks":[["1","2"],["2","8"]],"trades":[["20","5","1","-1"],["4","1",
    "0.5","1"],["1","-1","2","-1"]]}}}}}}

Answered:

    {{"M1": {{"reason": "two of three takers sold", "sentiment": -0.6, "stress": 0.25, "confidence": 0.5}}}}

Then both quotes go 1 + 0.25 x 2 = 1.5 times as far from the mid and stand 0.6 x 0.5 x 3 = 0.9 bps lower.""",
    options=SentimentOptions,
    build=_build,
)
