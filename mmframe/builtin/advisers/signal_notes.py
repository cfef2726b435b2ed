"""The adviser `signal-notes`: a sentence about each market for people, which changes no quote."""

from __future__ import annotations

import attrs

from mmframe.builtin.advisers._facts import DEPTH, TAPE, TOUCH
from mmframe.builtin.advisers._model_adviser import Brief, ModelAdviser
from mmframe.builtin.advisers._options import QuestionOptions
from mmframe.builtin.advisers._words import EXAMPLE_MARKET, FAILURE, QUESTION
from mmframe.domain.advice import Answer
from mmframe.plugin import AdviserSpec, BuildContext, option
from mmframe.plugin.replies import ReplySchema, TextField, Values

__all__ = ["SIGNAL_NOTES", "SignalNotesOptions"]

_TASK = """\
You write the log of a market maker for the people who watch it. Of each market say in one or two sentences what \
stands out in the numbers now: which side is heavier, how trading runs, how our position stands to it. Name the \
numbers that you mean. Give no advice and no forecast. When nothing stands out, say so."""


@attrs.frozen
class SignalNotesOptions(QuestionOptions):
    """Options of `signal-notes`.

    Raises:
        DomainError: As of `QuestionOptions`.
    """

    note_length_max: int = option(
        help="Characters of a note that are kept.", default=280, unit="characters", minimum=40, maximum=2_000
    )


def _answer(market: int, values: Values) -> Answer:
    return Answer(market, note=str(values["note"]))


def _build(options: SignalNotesOptions, context: BuildContext) -> ModelAdviser:
    note = TextField(
        name="note",
        help="What stands out, for people.",
        length_max=options.note_length_max,
        example="Nothing stands out.",
    )
    brief = Brief("signal-notes", _TASK, (*TOUCH, *DEPTH, *TAPE), ReplySchema((note,)), _answer)
    return ModelAdviser(brief, options, context)


SIGNAL_NOTES = AdviserSpec(
    name="signal-notes",
    summary="Asks for a sentence about each market, for the journal and the people who read it; changes nothing.",
    description=f"""\
Asks for a sentence or two about each market, for people: it is kept in the journal with the call. Nothing in it is
read by anything that quotes; the answer is neutral with confidence 0. It costs what every question costs.

{QUESTION}

{FAILURE}

{EXAMPLE_MARKET}

    {{"markets":{{"M1":{{"spread_bps":"2","touch_imbalance":"0.5","bid_touch_orders":"6",
    "ask_touch_orders":"2","position_share":"0.25","position_orders":"2","open_result_bps":"-9.99",
    "depth_imbalance":"0","bid_depth_orders":"10","ask_depth_orders":"10","bid_reach_bps":"2",
    "ask_reach_bps":"2","trade_count":"3","trades_span_s":"20","buy_share":"0.14","move_bps":"-5",
    "range_bps":"6"}}}}}}

Answered:

    {{"M1": {{"note": "We are long 2 orders and 10 bps under water; takers sold 86 % of the last 20 s."}}}}

Then this sentence stands in the journal, and no quote changes.""",
    options=SignalNotesOptions,
    build=_build,
)
