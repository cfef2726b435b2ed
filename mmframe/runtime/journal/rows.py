"""Values to rows and back: one place for the columns of each table."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import msgspec

from mmframe.domain.advice import AdviceCall
from mmframe.domain.market import Side
from mmframe.domain.orders import Action, Fill, OrderState, action_bytes
from mmframe.domain.records import AdviceUpdate, QuoteDecision
from mmframe.engine.state import EngineState
from mmframe.runtime.journal.orders import JournalOrder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mmframe.domain.orders import OrderUpdate
    from mmframe.domain.records import LimitRecord, OperatorCommand

    Row = tuple[str, Sequence[Any]]
    """A statement and its parameters."""

__all__ = [
    "FILL_COLUMNS",
    "ORDER_COLUMNS",
    "action_from",
    "advice_from",
    "advice_row",
    "call_from",
    "call_row",
    "command_row",
    "decision_from",
    "decision_row",
    "event_row",
    "fill_from",
    "fill_row",
    "intent_row",
    "limit_row",
    "new_order_row",
    "order_from",
    "order_row",
    "state_from",
    "state_text",
    "update_event_row",
]


class _WrittenState(EngineState, frozen=True):
    """The engine's state as JSON can hold it: figures that are not finite are texts, and null in older journals."""

    risk_states: dict[str, tuple[float | str | None, ...]] = msgspec.field(default_factory=dict)  # type: ignore[assignment] # on disk only


_SIDE_TEXTS = {Side.BUY: "buy", Side.SELL: "sell"}
_SIDES = {text: side for side, text in _SIDE_TEXTS.items()}

# Decisions and advice hold floats; MessagePack keeps NaN and infinity, which JSON cannot.
_encode_blob = msgspec.msgpack.Encoder().encode
_decode_decision = msgspec.msgpack.Decoder(QuoteDecision).decode
_decode_advice = msgspec.msgpack.Decoder(AdviceUpdate).decode
_decode_call = msgspec.msgpack.Decoder(AdviceCall).decode
_decode_action = msgspec.json.Decoder(Action).decode
_decode_state = msgspec.json.Decoder(_WrittenState).decode

ORDER_COLUMNS = ", ".join(JournalOrder.__struct_fields__)
FILL_COLUMNS = ", ".join(Fill.__struct_fields__)


def state_text(state: EngineState) -> str:
    """Return the engine's state as JSON, from which `state_from` makes the same again."""
    kept = {name: tuple(_written(value) for value in values) for name, values in state.risk_states.items()}
    return msgspec.json.encode(msgspec.structs.replace(state, risk_states=kept)).decode()


def state_from(text: str) -> EngineState:
    """Return what `state_text` was made of. What an older journal has as null was no finite number: it is NaN."""
    written = _decode_state(text)
    kept = {
        name: tuple(nan if value is None else float(value) for value in values)
        for name, values in written.risk_states.items()
    }
    fields = {name: getattr(written, name) for name in EngineState.__struct_fields__}
    return EngineState(**{**fields, "risk_states": kept})


def _written(value: float) -> float | str:
    # A rule may have left the result of a comparison, which is no number to JSON.
    number = float(value)
    return number if isfinite(number) else str(number)


def _insert(table: str, columns: str, verb: str = "INSERT") -> str:
    places = ", ".join("?" for _ in columns.split(","))
    return f"{verb} INTO {table} ({columns}) VALUES ({places})"


_INSERT_INTENT = _insert("intents", "run, at_ns, kind, market, client_id, new_client_id, action")
_INSERT_ORDER = _insert("orders", ORDER_COLUMNS)
_SET_ORDER = _insert("orders", ORDER_COLUMNS, "REPLACE")
_INSERT_EVENT = _insert(
    "order_events",
    "run, at_ns, exchange_ns, client_id, market, event, status, state, price_ticks, size_lots, counted_lots, version,"
    " reason",
)
_INSERT_FILL = (
    _insert("fills", f"run, mid_half_ticks, {FILL_COLUMNS}") + " ON CONFLICT (market, venue_trade_id) DO NOTHING"
)
_INSERT_DECISION = _insert(
    "decisions", "run, sequence, market, now_ns, bid_ticks, ask_ticks, bid_reason, ask_reason, body"
)
_INSERT_ADVICE = _insert("advice", "run, market, at_ns, valid_until_ns, source, note, body")
_INSERT_CALL = _insert(
    "advice_calls",
    "run, sequence, adviser, requested_ns, applied_ns, request_hash, model, status, latency_ns, input_tokens,"
    " output_tokens, cost_usd, verdict, body",
)
_INSERT_COMMAND = _insert("commands", "run, at_ns, market, command, reason, number")
_SET_LIMIT = (
    _insert("limits", "run, market, stage, level, reason, began_ns, ended_ns, decisions, detail")
    + " ON CONFLICT (run, market, stage, level, reason, began_ns)"
    " DO UPDATE SET ended_ns = excluded.ended_ns, decisions = excluded.decisions, detail = CASE"
    " WHEN excluded.detail IN ('', detail) THEN detail WHEN detail = '' THEN excluded.detail"
    " ELSE detail || '; ' || excluded.detail END"
)


def intent_row(run: int, action: Action, now_ns: int) -> Row:
    """Return the row of an action that is about to be sent."""
    kind = str(action.__struct_config__.tag)
    client_id = getattr(action, "client_id", None)
    new_client_id = getattr(action, "new_client_id", None)
    return _INSERT_INTENT, (run, now_ns, kind, action.market, client_id, new_client_id, action_bytes(action).decode())


def action_from(text: str) -> Action:
    """Return the action of an intent."""
    action: Action = _decode_action(text)
    return action


def new_order_row(order: JournalOrder) -> Row:
    """Return the row of an order never seen before; a second one with its client id is refused by the table."""
    return _INSERT_ORDER, _order_values(order)


def order_row(order: JournalOrder) -> Row:
    """Return the row that an order's earlier one is replaced by."""
    return _SET_ORDER, _order_values(order)


def order_from(row: sqlite3.Row | tuple[Any, ...]) -> JournalOrder:
    """Return the order of a row of `ORDER_COLUMNS`."""
    values = dict(zip(JournalOrder.__struct_fields__, row, strict=True))
    values["side"] = _SIDES[values["side"]]
    values["state"] = OrderState(values["state"])
    values["ends_as"] = None if values["ends_as"] is None else OrderState(values["ends_as"])
    return JournalOrder(**values)


def event_row(run: int, order: JournalOrder, *, event: str, at_ns: int, exchange_ns: int | None = None) -> Row:
    """Return the row that says that `event` (an action's name, or `fill`) left `order` as it is."""
    return _INSERT_EVENT, (
        run, at_ns, exchange_ns, order.client_id, order.market, event, None, order.state.value, order.price_ticks,
        order.size_lots, order.counted_lots, order.version, "",
    )  # fmt: skip


def update_event_row(run: int, order: JournalOrder | None, update: OrderUpdate, state: OrderState | None) -> Row:
    """Return the row of what the venue said; `order` is None when the journal does not know the client id."""
    if order is None:
        left = (None if state is None else state.value, update.price_ticks, update.size_lots, 0, update.version)
    else:
        left = (order.state.value, order.price_ticks, order.size_lots, order.counted_lots, order.version)
    return _INSERT_EVENT, (
        run, update.receive_ns, update.exchange_ns, update.client_id, update.market, f"answer to {update.request.value}"
        if update.request.value != "stream" else "news", update.status.value, *left, update.reason,
    )  # fmt: skip


def fill_row(run: int, fill: Fill, mid_half_ticks: int) -> Row:
    """Return the row of an execution; the table ignores one whose market and venue trade id it has."""
    values = list(msgspec.structs.astuple(fill))
    values[_FILL_SIDE] = _SIDE_TEXTS[fill.side]
    values[_FILL_FEE] = str(fill.fee)
    return _INSERT_FILL, (run, mid_half_ticks, *values)


def fill_from(row: Sequence[Any]) -> Fill:
    """Return the fill of a row of `FILL_COLUMNS`."""
    values = dict(zip(Fill.__struct_fields__, row, strict=True))
    values["side"] = _SIDES[values["side"]]
    values["is_maker"] = bool(values["is_maker"])
    values["fee"] = Decimal(values["fee"])
    return Fill(**values)


def decision_row(run: int, decision: QuoteDecision) -> Row:
    """Return the row of a decision."""
    return _INSERT_DECISION, (
        run,
        decision.sequence,
        decision.market,
        decision.now_ns,
        decision.bids[0].price_ticks if decision.bids else None,
        decision.asks[0].price_ticks if decision.asks else None,
        decision.bid_reason,
        decision.ask_reason,
        _encode_blob(decision),
    )


def decision_from(body: bytes) -> QuoteDecision:
    """Return the decision of a body."""
    return _decode_decision(body)


def advice_row(run: int, update: AdviceUpdate) -> Row:
    """Return the row of advice that came into force."""
    return _INSERT_ADVICE, (
        run,
        update.market,
        update.receive_ns,
        update.advice.valid_until_ns,
        update.source,
        update.note,
        _encode_blob(update),
    )


def advice_from(body: bytes) -> AdviceUpdate:
    """Return the advice of a body."""
    return _decode_advice(body)


def call_row(run: int, call: AdviceCall) -> Row:
    """Return the row of a question to a model."""
    reply = call.reply
    verdicts = " ".join(sorted({found.verdict.value for found in call.verdicts}))
    return _INSERT_CALL, (
        run, call.sequence, call.adviser, call.requested_ns, call.applied_ns, call.request_hash,
        reply.model or call.model, reply.status.value, reply.latency_ns, reply.usage.input_tokens,
        reply.usage.output_tokens, str(call.cost_usd), verdicts, _encode_blob(call),
    )  # fmt: skip


def call_from(body: bytes) -> AdviceCall:
    """Return the call of a body."""
    return _decode_call(body)


def command_row(run: int, command: OperatorCommand, number: int) -> Row:
    """Return the row of an operator's order; `number` is 0 for one that was not sent."""
    return _INSERT_COMMAND, (run, command.receive_ns, command.market, command.command.value, command.reason, number)


def limit_row(run: int, limit: LimitRecord) -> Row:
    """Return the row of a limit that began to bind, or the same row with its end."""
    ended_ns = limit.now_ns if limit.is_over else None
    return _SET_LIMIT, (
        run, limit.market, limit.stage, limit.level, limit.reason, limit.began_ns, ended_ns, limit.decisions,
        limit.detail,
    )  # fmt: skip


_FILL_SIDE = Fill.__struct_fields__.index("side")
_FILL_FEE = Fill.__struct_fields__.index("fee")
_ORDER_SIDE = JournalOrder.__struct_fields__.index("side")
_ORDER_STATE = JournalOrder.__struct_fields__.index("state")
_ORDER_ENDS_AS = JournalOrder.__struct_fields__.index("ends_as")


def _order_values(order: JournalOrder) -> list[Any]:
    values = list(msgspec.structs.astuple(order))
    values[_ORDER_SIDE] = _SIDE_TEXTS[order.side]
    values[_ORDER_STATE] = order.state.value
    values[_ORDER_ENDS_AS] = None if order.ends_as is None else order.ends_as.value
    return values
