"""The adviser `direction`: a forecast of the next move, which leans the quotes a little and is scored later."""

from __future__ import annotations

import attrs

from mmframe.builtin.advisers._facts import DEPTH, TAPE, TOUCH
from mmframe.builtin.advisers._model_adviser import Brief, ModelAdviser, scaled
from mmframe.builtin.advisers._options import QuestionOptions
from mmframe.builtin.advisers._words import EXAMPLE_MARKET, FAILURE, QUESTION
from mmframe.domain.advice import Answer
from mmframe.plugin import AdviserSpec, BuildContext, option
from mmframe.plugin.replies import NumberField, ReplySchema, TextField, Values

__all__ = ["DIRECTION", "DirectionOptions"]

_TASK = """\
You forecast where the middle price of each market will be in {horizon} seconds, against now. Forecasts are \
scored, calls without a ground for them count against you, and most of the time there is none: then answer \
direction 0 and a low confidence."""


@attrs.frozen
class DirectionOptions(QuestionOptions):
    """Options of `direction`.

    Raises:
        DomainError: As of `QuestionOptions`.
    """

    horizon_s: float = option(
        help="How far ahead is forecast; advice ends with it, or with ttl_s before.",
        default=60.0,
        unit="s",
        minimum=1.0,
        maximum=86_400.0,
    )
    max_skew_bps: float = option(
        help="Shift of both quotes at a direction of 1 and a confidence of 1.",
        default=5.0,
        unit="bps",
        minimum=0.0,
        maximum=100.0,
    )


_SCHEMA = ReplySchema(
    (
        TextField(name="reason", help="Why, for people, in one short sentence.", length_max=200, example="no signal"),
        NumberField(
            name="direction",
            help="Where the price goes: -1 surely down, 0 nobody knows, 1 surely up.",
            minimum=-1.0,
            maximum=1.0,
            example=0.0,
        ),
        NumberField(name="confidence", help="How sure you are, 0 not at all.", minimum=0.0, maximum=1.0, example=0.1),
    )
)


def _build(options: DirectionOptions, context: BuildContext) -> ModelAdviser:
    def answer(market: int, values: Values) -> Answer:
        direction, confidence = float(values["direction"]), float(values["confidence"])
        return Answer(
            market,
            skew_bps=scaled(direction * confidence, options.max_skew_bps),
            confidence=confidence,
            valid_for_s=options.horizon_s,
            note=str(values["reason"]),
            direction=direction,
        )

    task = _TASK.format(horizon=f"{options.horizon_s:g}")
    return ModelAdviser(Brief("direction", task, (*TOUCH, *DEPTH, *TAPE), _SCHEMA, answer), options, context)


DIRECTION = AdviserSpec(
    name="direction",
    summary="Asks for a forecast of the next move, shifts both quotes a little towards it, and can be scored.",
    description=f"""\
Asks where the mid will be in `horizon_s` seconds: direction from -1 (surely down) over 0 (nobody knows) to 1 (surely
up), confidence from 0 to 1, and a reason for people. Both quotes are shifted by

    skew_bps = direction x confidence x max_skew_bps     positive is up

for `horizon_s`, or `ttl_s` when that is shorter. Confidence can only make the shift smaller. The forecast is written
down as it came, so that it can be scored against what the market did, in shadow mode too.

{QUESTION}

{FAILURE}

{EXAMPLE_MARKET}

    {{"markets":{{"M1":{{"spread_bps":"2","touch_imbalance":"0.5","bid_touch_orders":"6",
    "ask_touch_orders":"2","position_share":"0.25","position_orders":"2","open_result_bps":"-9.99",
    "depth_imbalance":"0","bid_depth_orders":"10","ask_depth_orders":"10","bid_reach_bps":"2",
    "ask_reach_bps":"2","trade_count":"3","trades_span_s":"20","buy_share":"0.14","move_bps":"-5",
    "range_bps":"6"}}}}}}

Answered:

    {{"M1": {{"reason": "sellers take the bid", "direction": -0.5, "confidence": 0.6}}}}

Then both quotes stand 0.5 x 0.6 x 5 = 1.5 bps lower than they would, for 60 s.""",
    options=DirectionOptions,
    build=_build,
)
