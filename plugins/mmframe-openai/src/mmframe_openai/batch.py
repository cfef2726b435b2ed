"""Batches of chat completions: a file of questions, a batch that is polled, and files of answers in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mmframe.domain.advice import Batch, BatchReplies, BatchStatus, CompletionReply, ReplyStatus
from mmframe.net.model_api import shown, token_count
from mmframe.net.model_batch import Channel, batch_problem, changed_batch, is_name, submitted_batch, unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmframe.domain.advice import CompletionRequest
    from mmframe.net.model_api import ModelAnswer

__all__ = ["Channel", "Line", "cancel", "find", "left_out", "replies", "state", "submit"]

_QUESTIONS_MAX = 50_000
_BYTES_MAX = 200 * 1000 * 1000
_PAGES_MAX = 100
_PAGE = 100
_ENDPOINT = "/v1/chat/completions"
_LABEL = "mmframe_label"
_CODE_LENGTH_MAX = 64
_STATUSES = {
    "validating": BatchStatus.UNDER_WAY,
    "in_progress": BatchStatus.UNDER_WAY,
    "finalizing": BatchStatus.UNDER_WAY,
    "cancelling": BatchStatus.UNDER_WAY,
    "completed": BatchStatus.ENDED,
    "expired": BatchStatus.ENDED,
    "cancelled": BatchStatus.ENDED,
    "failed": BatchStatus.FAILED,
}


class Response(msgspec.Struct):
    """The answer to one question, as it would have come by itself."""

    status_code: int = 0
    request_id: str | None = None
    body: msgspec.Raw = msgspec.Raw(b"")


class Problem(msgspec.Struct):
    """Why a question has no answer."""

    code: str | None = None


class Line(msgspec.Struct):
    """One line of an output or error file."""

    custom_id: str
    response: Response | None = None
    error: Problem | None = None


async def submit(
    channel: Channel, batch: Batch, asked: Mapping[str, CompletionRequest], bodies: Mapping[str, bytes]
) -> Batch:
    """Upload the questions and begin a batch with them; only the second can cost anything."""
    lines = (
        msgspec.json.encode({"custom_id": name, "method": "POST", "url": _ENDPOINT, "body": msgspec.Raw(body)})
        for name, body in bodies.items()
    )
    content = b"\n".join(lines) + b"\n"
    problem = batch_problem(batch, asked, content, questions_max=_QUESTIONS_MAX, bytes_max=_BYTES_MAX)
    if problem:
        return changed_batch(batch, BatchStatus.FAILED, detail=problem)
    uploaded = await channel.upload("/files", content, {"purpose": "batch"})
    file = uploaded.document.get("id")
    if uploaded.status is not ReplyStatus.OK or not is_name(file):
        detail = f"the questions could not be uploaded: {uploaded.detail or 'the answer names no file'}"
        return changed_batch(batch, BatchStatus.FAILED, answer=uploaded, detail=detail)
    body = {
        "input_file_id": file,
        "endpoint": _ENDPOINT,
        "completion_window": "24h",
        "metadata": {_LABEL: batch.label},
    }
    answer = await channel.post("/batches", msgspec.json.encode(body))
    return submitted_batch(batch, answer, answer.document.get("id"))


async def find(channel: Channel, batch: Batch) -> Batch:
    """Go through the server's list, newest first, for the batch with the label."""
    after = ""
    for _ in range(_PAGES_MAX):
        answer = await channel.get(f"/batches?limit={_PAGE}{after}")
        data = answer.document.get("data")
        if answer.status is not ReplyStatus.OK or not isinstance(data, list):
            return _unknown(batch, answer, "the answer is no list of batches")
        listed = [item for item in data if isinstance(item, dict)]
        mine = next((item for item in listed if _label(item) == batch.label and is_name(item.get("id"))), None)
        if mine is not None:
            return _state(msgspec.structs.replace(batch, name=mine["id"]), mine)
        last = listed[-1].get("id") if listed else None
        if answer.document.get("has_more") is not True:
            return changed_batch(batch, BatchStatus.ABSENT, detail="the server's list does not hold it")
        if not is_name(last):
            break
        after = f"&after={last}"
    return changed_batch(batch, BatchStatus.UNKNOWN, detail="the server's list was not read to its end")


async def state(channel: Channel, batch: Batch) -> Batch:
    """Ask for a batch by its name."""
    answer = await channel.get(f"/batches/{batch.name}")
    if answer.status is not ReplyStatus.OK:
        return _unknown(batch, answer, "")
    return _state(batch, answer.document)


async def replies(
    channel: Channel,
    batch: Batch,
    asked: Mapping[str, CompletionRequest],
    read: Callable[[Line, CompletionRequest], CompletionReply],
) -> BatchReplies:
    """Fetch the files of a batch; the first line of an id stands, lines of other ids are passed over."""
    answer = await channel.get(f"/batches/{batch.name}")
    if answer.status is not ReplyStatus.OK:
        return BatchReplies(answer.status, detail=answer.detail)
    if _STATUSES.get(str(answer.document.get("status"))) is not BatchStatus.ENDED:
        return BatchReplies(ReplyStatus.UNAVAILABLE, detail="the batch has not ended")
    found: dict[str, CompletionReply] = {}
    for file in (answer.document.get("output_file_id"), answer.document.get("error_file_id")):
        if not is_name(file):
            continue
        fetched, lines = await channel.lines(f"/files/{file}/content")
        if fetched.status is not ReplyStatus.OK:
            return BatchReplies(fetched.status, detail=f"a file of answers could not be fetched: {fetched.detail}")
        for number, line in enumerate(lines, 1):
            try:
                decoded = msgspec.json.decode(line, type=Line) if line.strip() else None
            except (ValueError, RecursionError):
                return BatchReplies(ReplyStatus.UNREADABLE, detail=f"line {number} of a file of answers is no answer")
            if decoded is not None and decoded.custom_id in asked and decoded.custom_id not in found:
                found[decoded.custom_id] = read(decoded, asked[decoded.custom_id])
    missing = unanswered("the batch ended without an answer to it")
    return BatchReplies(ReplyStatus.OK, tuple((name, found.get(name, missing)) for name in asked))


async def cancel(channel: Channel, batch: Batch) -> Batch:
    """Ask that a batch be ended."""
    answer = await channel.post(f"/batches/{batch.name}/cancel", b"{}")
    if answer.status is not ReplyStatus.OK:
        return _unknown(batch, answer, "")
    return _state(batch, answer.document)


def left_out(error: Problem | None) -> CompletionReply:
    """Return the reply to a question that has only an error."""
    code = shown(None if error is None else error.code, _CODE_LENGTH_MAX)
    return unanswered(code if is_name(code) else "the batch holds no answer to it")


def _label(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata")
    label = metadata.get(_LABEL) if isinstance(metadata, dict) else None
    return label if isinstance(label, str) else ""


def _state(batch: Batch, document: Mapping[str, Any]) -> Batch:
    said = document.get("status")
    status = _STATUSES.get(said, BatchStatus.UNKNOWN) if isinstance(said, str) else BatchStatus.UNKNOWN
    counts = document.get("request_counts")
    told = counts if isinstance(counts, dict) else {}
    answered = sum(token_count(told.get(name)) or 0 for name in ("completed", "failed"))
    detail = {
        BatchStatus.UNKNOWN: "the answer tells no status of a batch",
        BatchStatus.FAILED: f"the server refused it: {_refusal(document)}",
    }.get(status, said if said in {"expired", "cancelled", "cancelling"} else "")
    return changed_batch(batch, status, detail=str(detail), answered=answered)


def _refusal(document: Mapping[str, Any]) -> str:
    errors = document.get("errors")
    data = errors.get("data") if isinstance(errors, dict) else None
    first = data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}
    code = shown(first.get("code"), _CODE_LENGTH_MAX)
    return code if is_name(code) else "it does not say why"


def _unknown(batch: Batch, answer: ModelAnswer, otherwise: str) -> Batch:
    return changed_batch(batch, BatchStatus.UNKNOWN, answer=answer, detail=answer.detail or otherwise)
