"""The provider cases pass for a provider that keeps the rules, and each catches one that breaks it."""

from __future__ import annotations

import json
import logging

import attrs
import msgspec
import pytest

from mmframe.domain.advice import BatchReplies, BatchStatus, CompletionReply, ModelList, ReplyStatus, Usage
from mmframe.net.model_api import ModelApi, encodable, estimated_tokens
from mmframe.net.model_batch import submitted_batch
from mmframe.net.timing import Timing
from mmframe.plugin import LLMProviderSpec, option
from mmframe.testing import CASES, ConformanceError, LLMProviderConformance
from mmframe.testing.conformance import llm_provider

_ENDINGS = {"length": ReplyStatus.TRUNCATED, "content_filter": ReplyStatus.REFUSED}


LEFT = []
"""What a provider left open, for the test to close after its verdict."""


@attrs.frozen
class LabOptions:
    base_url: str = option(help="Where.", default="")
    api_key: object = option(help="The key.", default=None)


class LabProvider:
    """A provider of chat completions that keeps every rule but the one that `breaks` names."""

    breaks = ""
    model = "lab"

    def __init__(self, options, context):
        self._key = options.api_key
        self._counter = 0

        def make():
            return ModelApi(
                options.base_url,
                timing=Timing(context.clock),
                key=options.api_key,
                key_header=lambda key: ("Authorization", f"Bearer {key}"),
            )

        self._api = context.shared("lab", make).joined()

    def __repr__(self):
        return f"<Lab {self._key.reveal()}>" if self.breaks == "shows the key" else "<Lab>"

    def body(self, request):
        self._counter += self.breaks == "counts in the body"
        messages = [
            {"role": "system", "content": encodable(request.system) + request.reply_schema.decode()},
            {"role": "user", "content": "" if self.breaks == "forgets the prompt" else encodable(request.prompt)},
        ]
        bound = request.max_reply_tokens + self._counter
        key = {"key": self._key.reveal()} if self.breaks == "sends the key in the body" else {}
        return msgspec.json.encode({"model": "lab", "max_tokens": bound, "messages": messages, **key})

    async def complete(self, request, *, timeout_s):
        reply = await self._once(request, timeout_s)
        if self.breaks == "tries again" and reply.status is ReplyStatus.UNAVAILABLE:
            reply = await self._once(request, timeout_s)
        return reply

    async def _once(self, request, timeout_s):
        if self.breaks == "waits for ever":
            timeout_s = 3600
        body = self.body(request)
        answer = await self._api.post(
            "/chat/completions",
            body + b" " if self.breaks == "sends something else" else body,
            timeout_s=timeout_s,
            reply_bytes_max=1 << 27 if self.breaks == "reads without bound" else 1 << 16,
            output_tokens_max=request.max_reply_tokens,
        )
        if self.breaks == "raises":
            answer.document["choices"][0]["message"]["content"].strip()
        if self.breaks == "logs the question":
            logging.getLogger("lab").debug("asked", extra={"body": body})
        if answer.status is not ReplyStatus.OK:
            return self._failed(answer)
        return self._read(answer)

    def _failed(self, answer):
        error = answer.document.get("error", {})
        status, detail = answer.status, answer.detail
        if isinstance(error, dict) and error.get("code") == "insufficient_quota":
            status = ReplyStatus.RATE_LIMITED if self.breaks == "takes no money for too fast" else ReplyStatus.QUOTA
        if self.breaks == "takes refused keys for an outage" and answer.http_status == 401:
            status = ReplyStatus.UNAVAILABLE
        if self.breaks == "quotes the server":
            detail = str(error.get("message", ""))[:200] if isinstance(error, dict) else detail
        reply = answer.reply(status, detail=detail)
        if self.breaks == "waits seconds as milliseconds":
            reply = msgspec.structs.replace(reply, retry_after_ns=reply.retry_after_ns // 1000)
        if self.breaks == "counts a hanging call as free":
            reply = msgspec.structs.replace(reply, usage=Usage())
        return reply

    def _read(self, answer):
        document = answer.document
        if document.get("error") and self.breaks != "takes errors for answers":
            return answer.reply(ReplyStatus.UNAVAILABLE, detail="an error")
        try:
            choice = document["choices"][0]
            text, ending = choice["message"]["content"], choice["finish_reason"]
            refusal, model = choice["message"]["refusal"], document["model"]
        except (KeyError, IndexError, TypeError):
            if self.breaks == "takes errors for answers":
                return answer.reply(ReplyStatus.OK, text=answer.body.decode())
            return answer.reply(ReplyStatus.UNREADABLE, detail="no message")
        status = ReplyStatus.OK
        if ending != "stop" and self.breaks != "reads half answers":
            status = _ENDINGS.get(ending, ReplyStatus.UNREADABLE)
        elif refusal:
            status = ReplyStatus.REFUSED
        elif not (text or "").strip():
            status = ReplyStatus.BLANK
        if self._api.reveals_key(text or "") and self.breaks != "hands the key through":
            status = ReplyStatus.UNREADABLE
        if self._api.reveals_key(model):
            model = ""
        if self.breaks == "trims the text":
            text = json.dumps({"factor": 1})
        reply = answer.reply(
            status, detail="", text=text or "", model="lab" if self.breaks == "names its own model" else model
        )
        if self.breaks == "shows foreign text":
            reply = msgspec.structs.replace(reply, model=document["model"])
        return msgspec.structs.replace(reply, usage=self._usage(document, answer, text or ""))

    def _usage(self, document, answer, text):
        usage = document.get("usage", {})
        counted, written = usage.get("prompt_tokens", -1), usage.get("completion_tokens", -1)
        if self.breaks == "trusts every usage":
            return Usage(counted, 0, 0, written if isinstance(written, int) else 0)
        if not isinstance(written, int) or min(counted, written) < 0:
            output = estimated_tokens(text.encode())
            return Usage(answer.usage.input_tokens, 0, 0, output, is_estimated=True)
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        return Usage(counted + cached * (self.breaks == "adds cached tokens"), cached, 0, written)

    async def models(self, *, timeout_s):
        found = await self._api.models(
            "/models",
            timeout_s=timeout_s,
            error_status=lambda answer: None if answer.status is ReplyStatus.OK else answer.status,
        )
        if self.breaks == "lists nothing":
            return ModelList(ReplyStatus.OK)
        if self.breaks == "raises for models" and found.status is not ReplyStatus.OK:
            raise RuntimeError(found.detail)
        return found

    async def aclose(self):
        if self.breaks == "leaves connections":
            LEFT.append(self._api)
            return
        if self.breaks == "closes for all":
            self._api._users = 1
        await self._api.aclose()


class ClosedForAll(LabProvider):
    """Its session is gone for good once any user has closed it."""

    breaks = "closes for all"

    async def complete(self, request, *, timeout_s):
        if self._api._users <= 0:
            raise RuntimeError("the session is closed")
        return await super().complete(request, timeout_s=timeout_s)


class BatchLab(LabProvider):
    """One that takes batches too."""

    async def submit_batch(self, batch, asked, *, timeout_s):
        lines = [
            {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": json.loads(self.body(request))}
            for name, request in asked.items()
        ]
        content = b"\n".join(msgspec.json.encode(line) for line in lines)
        file = await self._api.upload("/files", content, fields={"purpose": "batch"}, timeout_s=timeout_s)
        if file.status is not ReplyStatus.OK:
            return msgspec.structs.replace(batch, status=BatchStatus.FAILED)
        body = {
            "input_file_id": file.document["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"label": batch.label},
        }
        answer = await self._api.post(
            "/batches", msgspec.json.encode(body), timeout_s=timeout_s, reply_bytes_max=1 << 16, output_tokens_max=0
        )
        if answer.status is not ReplyStatus.OK and self.breaks == "takes a lost answer for a refusal":
            return msgspec.structs.replace(batch, status=BatchStatus.FAILED)
        return submitted_batch(batch, answer, answer.document.get("id"))

    async def find_batch(self, batch, *, timeout_s):
        answer = await self._api.get("/batches", timeout_s=timeout_s)
        mine = [each for each in answer.document["data"] if each["metadata"]["label"] == batch.label]
        if not mine or self.breaks == "does not look for a batch":
            return msgspec.structs.replace(batch, status=BatchStatus.ABSENT)
        return msgspec.structs.replace(batch, status=BatchStatus.ENDED, name=mine[0]["id"])

    async def batch_state(self, batch, *, timeout_s):
        answer = await self._api.get(f"/batches/{batch.name}", timeout_s=timeout_s)
        is_over = answer.document["status"] == "expired"
        return msgspec.structs.replace(batch, status=BatchStatus.ENDED if is_over else BatchStatus.UNDER_WAY)

    async def batch_replies(self, batch, asked, *, timeout_s):
        _, lines = await self._api.get_lines(f"/files/file-output-{batch.name}/content", timeout_s=timeout_s)
        answers = [json.loads(line) for line in lines]
        if self.breaks == "joins by order":
            answers = [{**answer, "custom_id": name} for answer, name in zip(answers, asked, strict=False)]
        found = {
            answer["custom_id"]: self._read(
                self._api.contained(
                    200, json.dumps(answer["response"]["body"]).encode(), asked=b"", output_tokens_max=0
                )
            )
            for answer in answers
        }
        billed = Usage(9, 0, 0, 9) if self.breaks == "charges what was left out" else Usage()
        missing = CompletionReply(ReplyStatus.UNAVAILABLE, usage=billed)
        return BatchReplies(ReplyStatus.OK, tuple((name, found.get(name, missing)) for name in asked))

    async def cancel_batch(self, batch, *, timeout_s):
        return batch


BATCHES = (
    "takes batches",
    "takes a lost answer for a refusal",
    "does not look for a batch",
    "joins by order",
    "charges what was left out",
)


def conformance(broken=""):
    """Return the kit's class for a provider that breaks one rule."""
    base = BatchLab if broken in BATCHES else LabProvider
    made = ClosedForAll if broken == "closes for all" else type("Broken", (base,), {"breaks": broken})
    lab = LLMProviderSpec(name="lab", summary="S.", options=LabOptions, build=made)

    class Conformance(LLMProviderConformance):
        spec = lab

        def provider_options(self, server, key):
            return LabOptions(server.openai_url, key)

    return Conformance()


class TestTheRulesAreKept(LLMProviderConformance):
    spec = conformance().spec

    def provider_options(self, server, key):
        return LabOptions(server.openai_url, key)


BROKEN = [
    ("counts in the body", "MM-M01"),
    ("forgets the prompt", "MM-M01"),
    ("sends the key in the body", "MM-M01"),
    ("tries again", "MM-M02"),
    ("sends something else", "MM-M02"),
    ("trims the text", "MM-M03"),
    ("names its own model", "MM-M03"),
    ("adds cached tokens", "MM-M04"),
    ("trusts every usage", "MM-M04"),
    ("reads half answers", "MM-M05"),
    ("takes no money for too fast", "MM-M06"),
    ("takes refused keys for an outage", "MM-M06"),
    ("waits seconds as milliseconds", "MM-M07"),
    ("waits for ever", "MM-M08"),
    ("counts a hanging call as free", "MM-M08"),
    ("raises", "MM-M09"),
    ("takes errors for answers", "MM-M09"),
    ("reads without bound", "MM-M09"),
    ("shows the key", "MM-M10"),
    ("logs the question", "MM-M10"),
    ("quotes the server", "MM-M10"),
    ("hands the key through", "MM-M10"),
    ("lists nothing", "MM-M11"),
    ("raises for models", "MM-M11"),
    ("leaves connections", "MM-M12"),
    ("closes for all", "MM-M12"),
    ("shows foreign text", "MM-M13"),
    *((broken, "MM-M14") for broken in BATCHES[1:]),
]


def method(case_id):
    return next(
        name
        for name in dir(LLMProviderConformance)
        if getattr(getattr(LLMProviderConformance, name), "conformance_case", None) is CASES[case_id]
    )


@pytest.fixture(autouse=True)
def clean_up(monkeypatch):
    """Close what a broken provider left, so that its sockets do not outlive the test."""
    close = llm_provider.ProviderRig.close

    async def close_all(rig):
        await close(rig)
        while LEFT:
            await LEFT.pop().aclose()

    monkeypatch.setattr(llm_provider.ProviderRig, "close", close_all)


@pytest.mark.parametrize(("broken", "case_id"), BROKEN)
def test_a_provider_that_breaks_a_rule_is_caught(broken, case_id, monkeypatch, caplog):
    monkeypatch.setattr(llm_provider, "_PATIENCE_S", 0.5 if broken in {"waits for ever", "leaves connections"} else 10)
    arguments = {"caplog": caplog} if case_id == "MM-M10" else {}

    with pytest.raises(ConformanceError) as caught:
        getattr(conformance(broken), method(case_id))(**arguments)

    assert caught.value.case.id == case_id


def test_a_provider_that_takes_batches_and_keeps_the_rule_passes():
    getattr(conformance("takes batches"), method("MM-M14"))()


def test_every_provider_case_is_tried():
    assert {case_id for _, case_id in BROKEN} == {case_id for case_id in CASES if case_id.startswith("MM-M")}
