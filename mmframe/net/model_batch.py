"""What the batches of all model APIs share: how an answer about one is judged, and what may be put into one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from mmframe.domain.advice import Batch, BatchStatus, CompletionReply, ReplyStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mmframe.domain.advice import CompletionRequest
    from mmframe.net.model_api import ModelAnswer, ModelApi

__all__ = ["Channel", "batch_problem", "changed_batch", "is_name", "submitted_batch", "unanswered"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_NOT_FOUND = 404
_SERVER_ERROR = 500
_SILENT = 0
_STATE_BYTES_MAX = 4 * 1024 * 1024


def is_name(value: object) -> bool:
    """Tell whether a provider's name of something can be put into an address."""
    return isinstance(value, str) and bool(_NAME.fullmatch(value)) and value.strip(".") != ""


def batch_problem(
    batch: Batch, asked: Mapping[str, CompletionRequest], content: bytes, *, questions_max: int, bytes_max: int
) -> str:
    """Return why questions cannot be one batch, or nothing."""
    if not 0 < len(asked) <= questions_max:
        return f"expected 1 to {questions_max} questions, was {len(asked)}"
    if len(content) > bytes_max:
        return f"expected at most {bytes_max} bytes of questions, was {len(content)}"
    odd = next((name for name in asked if not _ID.fullmatch(name) or not name.startswith(f"{batch.label}-")), None)
    return "" if odd is None else f"expected ids that begin with the label, was {odd!r}"


def submitted_batch(batch: Batch, answer: ModelAnswer, name: object) -> Batch:
    """Return a batch as the answer to its submission leaves it.

    Args:
        batch: As it was handed over.
        answer: Whatever came back; an error in its body has been made its status.
        name: What the answer calls the batch, if it is one.
    """
    if answer.status is ReplyStatus.OK and is_name(name):
        return changed_batch(batch, BatchStatus.UNDER_WAY, name=str(name))
    # A server that fails, or an answer that is lost or makes no sense, does not tell what was done before.
    is_never_sent = answer.http_status == _SILENT and not answer.usage.is_estimated
    is_refused = _SILENT < answer.http_status < _SERVER_ERROR and answer.status not in {
        ReplyStatus.OK,
        ReplyStatus.UNREADABLE,
        ReplyStatus.UNAVAILABLE,
    }
    status = BatchStatus.FAILED if is_never_sent or is_refused else BatchStatus.UNKNOWN
    return changed_batch(batch, status, answer=answer, detail=answer.detail or "the answer names no batch")


def changed_batch(
    batch: Batch, status: BatchStatus, *, answer: ModelAnswer | None = None, detail: str = "", **changes: Any
) -> Batch:
    """Return a batch with what was learned of it: a status, and nothing left of an earlier trouble.

    A batch that the server does not find under its name is ABSENT, also where `status` says UNKNOWN.
    """
    if status is BatchStatus.UNKNOWN and batch.name and answer is not None and answer.http_status == _NOT_FOUND:
        status = BatchStatus.ABSENT
    retry_after_ns = 0 if answer is None else answer.retry_after_ns
    return msgspec.structs.replace(batch, status=status, detail=detail, retry_after_ns=retry_after_ns, **changes)


def unanswered(detail: str) -> CompletionReply:
    """Return the reply to a question that a batch left unanswered, which costs nothing."""
    return CompletionReply(ReplyStatus.UNAVAILABLE, detail=detail)


@attrs.frozen
class Channel:
    """How one step of a batch reaches the server.

    Attributes:
        api: The account.
        headers: Besides that for the key.
        timeout_s: For each request.
        error_status: What an answer is by its body, None when it is no error.
    """

    api: ModelApi
    headers: tuple[tuple[str, str], ...]
    timeout_s: float
    error_status: Callable[[ModelAnswer], ReplyStatus | None]

    async def get(self, target: str) -> ModelAnswer:
        """Return an answer with what its body says as its status."""
        return self._judged(await self.api.get(target, timeout_s=self.timeout_s, headers=self.headers))

    async def lines(self, target: str) -> tuple[ModelAnswer, Sequence[bytes]]:
        """Return the lines of a file; the answer is OK when they are all of them."""
        return await self.api.get_lines(target, timeout_s=self.timeout_s, headers=self.headers)

    async def post(self, target: str, body: bytes) -> ModelAnswer:
        """Return the answer to a request that is sent once; its usage is estimated where it may have been done."""
        answer = await self.api.post(
            target,
            body,
            timeout_s=self.timeout_s,
            reply_bytes_max=_STATE_BYTES_MAX,
            output_tokens_max=0,
            headers=self.headers,
        )
        return self._judged(answer)

    async def upload(self, target: str, content: bytes, fields: Mapping[str, str]) -> ModelAnswer:
        """Return the answer to a file that is sent once."""
        answer = await self.api.upload(target, content, fields=fields, timeout_s=self.timeout_s, headers=self.headers)
        return self._judged(answer)

    def _judged(self, answer: ModelAnswer) -> ModelAnswer:
        status = self.error_status(answer)
        if status is None or status is answer.status:
            return answer
        return attrs.evolve(answer, status=status, detail=answer.detail or "the answer holds an error")
