"""The batch protocols of both services, in memory: a batch is done after some looks at it, answers come unordered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import HTTP
from threading import Lock
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.errors import UsageError
from mmframe.testing.llm_server.dialects import Anthropic, Dialect, OpenAi, said
from mmframe.testing.llm_server.script import Scripted, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from email.message import Message

__all__ = ["BatchDesk", "ScriptedBatch"]

_ENDINGS = ("completed", "expired", "cancelled", "failed")
_CREATED_S = 1_700_000_000
_CHAT = "/v1/chat/completions"
_MESSAGES = "/v1/messages/batches"
_PAGE = 20
_ERROR_STATUS = 400
_OK = 200


@attrs.frozen(kw_only=True)
class ScriptedBatch:
    """What becomes of the batches that are submitted next.

    Attributes:
        polls: How often one is looked at before it has ended.
        ending: `completed`, `expired`, `cancelled` or `failed`.
        replies: To its first questions, by name or as they are; the others get the valid one. One with a status of an
            error is a question that failed.
        answered: How many of its questions are answered by the end; None for all, or half of a batch that ends
            otherwise than completed.
        is_reversed: The answers come in the opposite order of the questions.
        is_listed: The lists of batches hold it.

    Raises:
        UsageError: If an ending or a reply is unknown.
    """

    polls: int = 1
    ending: str = "completed"
    replies: Sequence[str | Scripted] = ()
    answered: int | None = None
    is_reversed: bool = True
    is_listed: bool = True

    def __attrs_post_init__(self) -> None:
        if self.ending not in _ENDINGS:
            msg = f"ending of a batch: expected one of {', '.join(_ENDINGS)}, was {self.ending!r}"
            raise UsageError(msg)
        for reply in self.replies:
            scripted(reply)

    def reply(self, place: int) -> Scripted:
        """Return what the question at a place is answered."""
        return scripted(self.replies[place]) if place < len(self.replies) else Scripted()


@attrs.define
class _Batch:
    name: str
    is_anthropic: bool
    script: ScriptedBatch
    questions: list[tuple[str, dict[str, Any]]]
    headers: Mapping[str, str]
    metadata: Any = None
    file: str = ""
    made: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    looks: int = 0
    is_cancelling: bool = False

    @property
    def ending(self) -> str:
        """Return how it ended; empty while it is under way."""
        if self.looks < self.script.polls:
            return ""
        return "cancelled" if self.is_cancelling else self.script.ending

    @property
    def answered(self) -> int:
        """Return how many questions are answered when it has ended."""
        if self.ending == "completed" and self.script.answered is None:
            return len(self.questions)
        told = len(self.questions) // 2 if self.script.answered is None else self.script.answered
        return min(told, len(self.questions))


class BatchDesk:
    """The files and batches of one server. Safe to use from several threads.

    Attributes:
        script: What becomes of the batches that are submitted from now on.
    """

    def __init__(self) -> None:
        self.script = ScriptedBatch()
        self._lock = Lock()
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, _Batch] = {}

    @property
    def sizes(self) -> list[int]:
        """Return how many questions each batch holds that was ever submitted, oldest first."""
        with self._lock:
            return [len(batch.questions) for batch in self._batches.values()]

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, address: str
    ) -> tuple[int, bytes] | None:
        """Return status and body of a request about batches; None when it is about something else.

        Args:
            method: GET or POST.
            target: Path and query.
            headers: By lower-case name.
            body: As sent.
            address: Of the server, for addresses in answers.
        """
        path, _, query = target.partition("?")
        options = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
        parts = path.strip("/").split("/")[1:]
        with self._lock:
            if path == _MESSAGES or path.startswith(f"{_MESSAGES}/"):
                return self._messages(method, parts[2:], options, headers, body, address)
            if parts[0:1] == ["files"]:
                return self._file(method, parts[1:], headers, body)
            if parts[0:1] == ["batches"]:
                return self._chat(method, parts[1:], options, headers, body)
        return None

    def _file(self, method: str, parts: list[str], headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        if method == "POST" and not parts:
            fields = dict(_form(headers.get("content-type", ""), body))
            if fields.get("purpose") != b"batch" or "file" not in fields:
                return _refused(OpenAi(), 400, "expected purpose 'batch' and a file")
            name = f"file-{len(self._files) + 1:04d}"
            self._files[name] = fields["file"]
            return _found({"id": name, "object": "file", "bytes": len(body), "created_at": _CREATED_S,
                           "filename": "questions.jsonl", "purpose": "batch", "status": "processed"})  # fmt: skip
        content = self._files.get(parts[0]) if parts[1:] == ["content"] and method == "GET" else None
        return _refused(OpenAi(), 404, "no such file") if content is None else (_OK, content)

    def _chat(
        self, method: str, parts: list[str], options: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        if method == "POST" and not parts:
            return self._begin_chat(body, headers)
        if not parts:
            found, has_more = self._page(options.get("after"), options, is_anthropic=False)
            return _found({"object": "list", "data": [self._chat_state(each) for each in found], "has_more": has_more,
                           "first_id": found[0].name if found else None,
                           "last_id": found[-1].name if found else None})  # fmt: skip
        batch = self._batches.get(parts[0])
        if batch is None or batch.is_anthropic:
            return _refused(OpenAi(), 404, "no such batch")
        if parts[1:] == ["cancel"]:
            batch.is_cancelling = True
        else:
            batch.looks += 1
        return _found(self._chat_state(batch))

    def _begin_chat(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        fields = json.loads(body)
        content = self._files.get(str(fields.get("input_file_id")))
        if content is None or fields.get("endpoint") != _CHAT or fields.get("completion_window") != "24h":
            return _refused(OpenAi(), 400, "expected a file, an endpoint and a window of 24h")
        lines = [json.loads(line) for line in content.splitlines()]
        if any(line.get("method") != "POST" or line.get("url") != _CHAT for line in lines):
            return _refused(OpenAi(), 400, "a line asks another endpoint")
        questions = [(line["custom_id"], line["body"]) for line in lines]
        batch = self._kept(questions, headers, is_anthropic=False)
        batch.metadata, batch.file = fields.get("metadata"), fields["input_file_id"]
        return _found(self._chat_state(batch))

    def _chat_state(self, batch: _Batch) -> dict[str, Any]:
        ending = batch.ending
        under_way = "cancelling" if batch.is_cancelling else "in_progress" if batch.looks else "validating"
        answers, errors = ([], []) if ending in {"", "failed"} else self._chat_lines(batch)
        files = {"output": answers, "error": errors}
        for kind, lines in files.items():
            if lines:
                self._files[f"file-{kind}-{batch.name}"] = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        problems = [{"code": "invalid_json_line", "line": 1, "message": "scripted", "param": None}]
        return {
            "id": batch.name,
            "object": "batch",
            "endpoint": _CHAT,
            "errors": {"object": "list", "data": problems} if ending == "failed" else None,
            "input_file_id": batch.file,
            "completion_window": "24h",
            "status": ending or under_way,
            "output_file_id": f"file-output-{batch.name}" if answers else None,
            "error_file_id": f"file-error-{batch.name}" if errors else None,
            "created_at": int(batch.made.timestamp()),
            "request_counts": {"total": len(batch.questions), "completed": len(answers), "failed": len(errors)},
            "metadata": batch.metadata,
        }

    @staticmethod
    def _chat_lines(batch: _Batch) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        answers: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for name, status, body in _answers(batch, OpenAi()):
            line: dict[str, Any] = {"id": f"batch_req_{name}", "custom_id": name, "response": None, "error": None}
            if body is None:
                left = {"code": f"batch_{batch.ending}", "message": "This request could not be executed in time."}
                errors.append({**line, "error": left})
                continue
            line["response"] = {"status_code": status, "request_id": f"req_{name}", "body": body}
            (answers if status < _ERROR_STATUS else errors).append(line)
        return answers, errors

    def _messages(  # noqa: PLR0911, PLR0913, PLR0917 - a request, and each way to answer it
        self,
        method: str,
        parts: list[str],
        options: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        address: str,
    ) -> tuple[int, bytes]:
        if method == "POST" and not parts:
            questions = [(each["custom_id"], each["params"]) for each in json.loads(body).get("requests", ())]
            if not questions or len({name for name, _ in questions}) < len(questions):
                return _refused(Anthropic(), 400, "requests: expected some, each with an id of its own")
            return _found(_messages_state(self._kept(questions, headers, is_anthropic=True), address))
        if not parts:
            found, has_more = self._page(options.get("after_id"), options, is_anthropic=True)
            return _found({"data": [_messages_state(each, address) for each in found], "has_more": has_more,
                           "first_id": found[0].name if found else None,
                           "last_id": found[-1].name if found else None})  # fmt: skip
        batch = self._batches.get(parts[0])
        if batch is None or not batch.is_anthropic:
            return _refused(Anthropic(), 404, "no such batch")
        if parts[1:] == ["results"]:
            if not batch.ending:
                return _refused(Anthropic(), 404, "the results are not there yet")
            return _OK, "".join(f"{json.dumps(line)}\n" for line in _results(batch)).encode()
        if parts[1:] == ["cancel"]:
            batch.is_cancelling = True
        else:
            batch.looks += 1
        return _found(_messages_state(batch, address))

    def _kept(
        self, questions: list[tuple[str, dict[str, Any]]], headers: Mapping[str, str], *, is_anthropic: bool
    ) -> _Batch:
        name = f"{'msgbatch' if is_anthropic else 'batch'}_{len(self._batches) + 1:04d}"
        batch = _Batch(name, is_anthropic, self.script, questions, dict(headers))
        self._batches[name] = batch
        return batch

    def _page(self, after: str | None, options: Mapping[str, str], *, is_anthropic: bool) -> tuple[list[_Batch], bool]:
        """Return a page of the batches, newest first, and whether there are more."""
        every = [
            each
            for each in reversed(self._batches.values())
            if each.is_anthropic == is_anthropic and each.script.is_listed
        ]
        names = [each.name for each in every]
        start = names.index(after) + 1 if after in names else 0
        size = int(options.get("limit", _PAGE))
        return every[start : start + size], start + size < len(every)


def _answers(batch: _Batch, dialect: Dialect) -> Iterator[tuple[str, int, dict[str, Any] | None]]:
    """Yield id, HTTP status and body of each answer; no body where there is none."""
    places = range(len(batch.questions))
    for place in reversed(places) if batch.script.is_reversed else places:
        name, fields = batch.questions[place]
        if place >= batch.answered:
            yield name, 0, None
            continue
        reply = batch.script.reply(place)
        asked = dialect.asked(json.dumps(fields).encode(), batch.headers, frozenset())
        if asked.problem or reply.status >= _ERROR_STATUS:
            status = _ERROR_STATUS if asked.problem else reply.status
            yield name, status, dialect.error(status, reply.error, asked.problem or f"scripted: {fields}", place)
        else:
            yield name, _OK, dialect.answer(asked, reply, said(asked, reply), place)


def _results(batch: _Batch) -> Iterator[dict[str, Any]]:
    left = {"cancelled": "canceled"}.get(batch.ending, "expired")
    for name, status, body in _answers(batch, Anthropic()):
        if body is None:
            yield {"custom_id": name, "result": {"type": left}}
        elif status >= _ERROR_STATUS:
            yield {"custom_id": name, "result": {"type": "errored", "error": body}}
        else:
            yield {"custom_id": name, "result": {"type": "succeeded", "message": body}}


def _messages_state(batch: _Batch, address: str) -> dict[str, Any]:
    kinds = [line["result"]["type"] for line in _results(batch)] if batch.ending else []
    counts = {kind: kinds.count(kind) for kind in ("succeeded", "errored", "canceled", "expired")}
    now = batch.made.isoformat()
    under_way = "canceling" if batch.is_cancelling else "in_progress"
    return {
        "id": batch.name,
        "type": "message_batch",
        "processing_status": "ended" if batch.ending else under_way,
        "request_counts": {"processing": 0 if kinds else len(batch.questions), **counts},
        "created_at": now,
        "expires_at": now,
        "ended_at": now if batch.ending else None,
        "archived_at": None,
        "cancel_initiated_at": now if batch.is_cancelling else None,
        "results_url": f"{address}{_MESSAGES}/{batch.name}/results" if batch.ending else None,
    }


def _form(kind: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each field of a form."""
    whole = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body, policy=HTTP)
    parts: list[Message] = list(whole.iter_parts()) if whole.is_multipart() else []
    for part in parts:
        content = part.get_payload(decode=True)
        yield str(part.get_param("name", header="content-disposition")), bytes(content or b"")


def _found(document: dict[str, Any]) -> tuple[int, bytes]:
    return _OK, json.dumps(document).encode()


def _refused(dialect: Dialect, status: int, message: str) -> tuple[int, bytes]:
    return status, json.dumps(dialect.error(status, "", message, 0)).encode()
