"""The adviser `market-decision`: which sides to quote, as permissions for quotes and never as orders."""

from __future__ import annotations

import attrs

from mmframe.builtin.advisers._facts import DEPTH, TAPE, TOUCH
from mmframe.builtin.advisers._model_adviser import Brief, ModelAdviser
from mmframe.builtin.advisers._options import QuestionOptions
from mmframe.builtin.advisers._words import EXAMPLE_MARKET, FAILURE, QUESTION
from mmframe.domain.advice import Answer
from mmframe.plugin import AdviserSpec, BuildContext, option
from mmframe.plugin.replies import ChoiceField, NumberField, ReplySchema, TextField, Values

__all__ = ["MARKET_DECISION", "MarketDecisionOptions"]

_BID, _ASK, _CANCEL, _HOLD = "bid", "ask", "cancel", "hold"

_TASK = """\
You decide which side of each market a market maker should offer for the next minutes. It keeps an order to buy \
and an order to sell near the middle price and earns the spread. Answer hold to leave both as they are, bid when \
only buying is safe, ask when only selling is safe, cancel when neither is. You place no orders and name no \
prices. When nothing speaks for a change, or you cannot tell, answer hold and a low confidence."""


@attrs.frozen
class MarketDecisionOptions(QuestionOptions):
    """Options of `market-decision`.

    Raises:
        DomainError: As of `QuestionOptions`.
    """

    unwanted_side_multiplier: float = option(
        help="Times the distance of the order on the side that the decision leaves out; the strategy's bounds, "
        "max_spread_multiplier among them, stand above it.",
        default=3.0,
        minimum=1.0,
        maximum=20.0,
    )


_SCHEMA = ReplySchema(
    (
        TextField(name="reason", help="Why, for people, in one short sentence.", length_max=200, example="calm"),
        ChoiceField(
            name="decision",
            help="hold: both sides as they are. bid: only buy. ask: only sell. cancel: neither.",
            choices=(_HOLD, _BID, _ASK, _CANCEL),
            example=_HOLD,
        ),
        NumberField(name="confidence", help="How sure you are, 0 not at all.", minimum=0.0, maximum=1.0, example=0.2),
    )
)


def _build(options: MarketDecisionOptions, context: BuildContext) -> ModelAdviser:
    away = options.unwanted_side_multiplier

    def answer(market: int, values: Values) -> Answer:
        decision = values["decision"]
        return Answer(
            market,
            bid_spread_multiplier=away if decision == _ASK else 1.0,
            ask_spread_multiplier=away if decision == _BID else 1.0,
            pause=1.0 if decision == _CANCEL else 0.0,
            confidence=float(values["confidence"]),
            note=str(values["reason"]),
        )

    return ModelAdviser(Brief("market-decision", _TASK, (*TOUCH, *DEPTH, *TAPE), _SCHEMA, answer), options, context)


MARKET_DECISION = AdviserSpec(
    name="market-decision",
    summary="Asks which sides to quote: hold, bid, ask or cancel; the side left out moves away, cancel pauses.",
    description=f"""\
Asks for one word a market, with confidence from 0 to 1 and a reason for people. The word is a permission to quote and
never an order: price, size and moment stay with the strategy.

    hold      both sides as the strategy quotes them
    bid       the ask goes unwanted_side_multiplier times as far from the mid; the bid stays
    ask       the bid goes unwanted_side_multiplier times as far from the mid; the ask stays
    cancel    no quotes, as long as the advice lasts and the bounds allow a pause (`may_pause`)

Why the other side is moved away and not removed: advice has one size for both sides, so a size of 0 would take the
wanted side with it; a shift of both quotes would bring the wanted one closer, which is more risk on the word of a
model. Moving one side out only ever takes risk away. Nor does it trap a position that has to be worked off on that
side.

{QUESTION}

{FAILURE}

{EXAMPLE_MARKET}

    {{"markets":{{"M1":{{"spread_bps":"2","touch_imbalance":"0.5","bid_touch_orders":"6",
    "ask_touch_orders":"2","position_share":"0.25","position_orders":"2","open_result_bps":"-9.99",
    "depth_imbalance":"0","bid_depth_orders":"10","ask_depth_orders":"10","bid_reach_bps":"2",
    "ask_reach_bps":"2","trade_count":"3","trades_span_s":"20","buy_share":"0.14","move_bps":"-5",
    "range_bps":"6"}}}}}}

Answered:

    {{"M1": {{"reason": "sellers press and we are long", "decision": "ask", "confidence": 0.7}}}}

Then the bid goes 3 times as far from the mid, and the ask stays.""",
    options=MarketDecisionOptions,
    build=_build,
)
