"""Batches of messages: one request with all questions, a batch that is polled, and results in any order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mmframe.domain.advice import Batch, BatchReplies, BatchStatus, CompletionReply, ReplyStatus
from mmframe.net.model_api import token_count
from mmframe.net.model_batch import Channel, batch_problem, changed_batch, is_name, submitted_batch, unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmframe.domain.advice import CompletionRequest
    from mmframe.net.model_api import ModelAnswer

__all__ = ["Channel", "Line", "cancel", "find", "left_out", "replies", "state", "submit"]

_TARGET = "/v1/messages/batches"
_QUESTIONS_MAX = 100_000
_BYTES_MAX = 256 * 1000 * 1000
_PAGES_MAX = 100
_PAGE = 100
_EARLIER_NS = 600 * 1_000_000_000
"""So much earlier than by our clock a batch may have been made by the server's."""
_STATUSES = {
    "in_progress": BatchStatus.UNDER_WAY,
    "canceling": BatchStatus.UNDER_WAY,
    "ended": BatchStatus.ENDED,
}
_DONE = ("succeeded", "errored", "canceled", "expired")


class Result(msgspec.Struct):
    """What became of one question: `succeeded`, `errored`, `canceled` or `expired`."""

    type: str
    message: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class Line(msgspec.Struct):
    """One line of the results."""

    custom_id: str
    result: Result


async def submit(
    channel: Channel, batch: Batch, asked: Mapping[str, CompletionRequest], bodies: Mapping[str, bytes]
) -> Batch:
    """Send the questions, once."""
    requests = [{"custom_id": name, "params": msgspec.Raw(body)} for name, body in bodies.items()]
    content = msgspec.json.encode({"requests": requests})
    problem = batch_problem(batch, asked, content, questions_max=_QUESTIONS_MAX, bytes_max=_BYTES_MAX)
    if problem:
        return changed_batch(batch, BatchStatus.FAILED, detail=problem)
    answer = await channel.post(_TARGET, content)
    return submitted_batch(batch, answer, answer.document.get("id"))


async def find(channel: Channel, batch: Batch) -> Batch:
    """Go through the server's list, newest first, for a batch of as many questions whose results bear the label.

    The list shows no ids of questions. So one that could be it and has not ended leaves it UNKNOWN until it has.
    """
    after, may_be = "", False
    for _ in range(_PAGES_MAX):
        answer = await channel.get(f"{_TARGET}?limit={_PAGE}{after}")
        data = answer.document.get("data")
        if answer.status is not ReplyStatus.OK or not isinstance(data, list):
            return _unknown(batch, answer, "the answer is no list of batches")
        listed = [item for item in data if isinstance(item, dict)]
        for item in listed:
            if not _could_be(item, batch):
                continue
            named = _state(msgspec.structs.replace(batch, name=item["id"]), item)
            is_mine = await _is_mine(channel, named)
            if is_mine:
                return named
            may_be = may_be or is_mine is None
        last = listed[-1] if listed else {}
        is_over = answer.document.get("has_more") is not True or _is_older(last, batch)
        if is_over and may_be:
            detail = "a batch that could be it cannot be told from others before it has ended"
            return changed_batch(batch, BatchStatus.UNKNOWN, detail=detail)
        if is_over:
            return changed_batch(batch, BatchStatus.ABSENT, detail="the server's list does not hold it")
        if not is_name(last.get("id")):
            break
        after = f"&after_id={last['id']}"
    return changed_batch(batch, BatchStatus.UNKNOWN, detail="the server's list was not read to its end")


async def state(channel: Channel, batch: Batch) -> Batch:
    """Ask for a batch by its name."""
    answer = await channel.get(f"{_TARGET}/{batch.name}")
    if answer.status is not ReplyStatus.OK:
        return _unknown(batch, answer, "")
    return _state(batch, answer.document)


async def replies(
    channel: Channel,
    batch: Batch,
    asked: Mapping[str, CompletionRequest],
    read: Callable[[Line, CompletionRequest], CompletionReply],
) -> BatchReplies:
    """Fetch the results of a batch; the first line of an id stands, lines of other ids are passed over."""
    # Not from the address that the batch names: the key goes to the base address alone.
    fetched, lines = await channel.lines(f"{_TARGET}/{batch.name}/results")
    if fetched.status is not ReplyStatus.OK:
        return BatchReplies(fetched.status, detail=f"the results could not be fetched: {fetched.detail}")
    found: dict[str, CompletionReply] = {}
    for number, line in enumerate(lines, 1):
        try:
            decoded = msgspec.json.decode(line, type=Line) if line.strip() else None
        except (ValueError, RecursionError):
            return BatchReplies(ReplyStatus.UNREADABLE, detail=f"line {number} of the results is no answer")
        if decoded is not None and decoded.custom_id in asked and decoded.custom_id not in found:
            found[decoded.custom_id] = read(decoded, asked[decoded.custom_id])
    missing = unanswered("the batch ended without an answer to it")
    return BatchReplies(ReplyStatus.OK, tuple((name, found.get(name, missing)) for name in asked))


async def cancel(channel: Channel, batch: Batch) -> Batch:
    """Ask that a batch be ended."""
    answer = await channel.post(f"{_TARGET}/{batch.name}/cancel", b"{}")
    if answer.status is not ReplyStatus.OK:
        return _unknown(batch, answer, "")
    return _state(batch, answer.document)


def left_out(kind: str) -> CompletionReply:
    """Return the reply to a question without an answer."""
    return unanswered(kind if kind in _DONE else "the batch holds no answer to it")


async def _is_mine(channel: Channel, batch: Batch) -> bool | None:
    """Tell whether the results bear the label; None while that cannot be told."""
    if batch.status is not BatchStatus.ENDED:
        return None
    fetched, lines = await channel.lines(f"{_TARGET}/{batch.name}/results")
    if fetched.status is not ReplyStatus.OK or not lines:
        return None
    try:
        return msgspec.json.decode(lines[0], type=Line).custom_id.startswith(f"{batch.label}-")
    except (ValueError, RecursionError):
        return None


def _could_be(item: Mapping[str, Any], batch: Batch) -> bool:
    counts = item.get("request_counts")
    told = counts if isinstance(counts, dict) else {}
    total = sum(token_count(told.get(name)) or 0 for name in (*_DONE, "processing"))
    return is_name(item.get("id")) and total == batch.total and not _is_older(item, batch)


def _is_older(item: Mapping[str, Any], batch: Batch) -> bool:
    """Tell whether a batch was certainly made before ours was submitted."""
    text = item.get("created_at")
    try:
        made = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return False
    if made is None:
        return False
    made = made if made.tzinfo is not None else made.replace(tzinfo=UTC)
    return made.timestamp() * 1e9 < batch.submitted_ns - _EARLIER_NS


def _state(batch: Batch, document: Mapping[str, Any]) -> Batch:
    said = document.get("processing_status")
    status = _STATUSES.get(said, BatchStatus.UNKNOWN) if isinstance(said, str) else BatchStatus.UNKNOWN
    counts = document.get("request_counts")
    told = counts if isinstance(counts, dict) else {}
    answered = sum(token_count(told.get(name)) or 0 for name in _DONE)
    detail = "the answer tells no status of a batch" if status is BatchStatus.UNKNOWN else ""
    return changed_batch(batch, status, detail="canceling" if said == "canceling" else detail, answered=answered)


def _unknown(batch: Batch, answer: ModelAnswer, otherwise: str) -> Batch:
    return changed_batch(batch, BatchStatus.UNKNOWN, answer=answer, detail=answer.detail or otherwise)
