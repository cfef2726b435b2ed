"""Conformance of model providers: an adapter against a server that speaks its protocol on loopback.

What a provider says is what budgets, breakers and recordings are kept by; so the server goes wrong in each way that
real ones do, and the cases look at what the provider makes of it.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import anyio

from mmframe.domain.advice import Batch, BatchStatus, CompletionReply, CompletionRequest, ModelList, ReplyStatus, Usage
from mmframe.domain.kinds import Mode
from mmframe.plugin import LLMProviderSpec, Secret
from mmframe.ports import BatchProvider
from mmframe.runtime.clocks import SystemClock
from mmframe.testing._check import ComponentConformance, case, expect, fail
from mmframe.testing.builders import build_component
from mmframe.testing.llm_server import INJECTION, LlmServer, Scripted, ScriptedBatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import pytest

    from mmframe.ports import LLMProvider

__all__ = ["LLMProviderConformance", "ProviderRig"]

T = TypeVar("T")

_PATIENCE_S = 20.0
"""Wall time after which something that was to come is taken for never; reached only by what fails."""
_TIMEOUT_S = 0.25
"""Given to calls that cannot be answered."""
_LOOK_S = 0.005
_SHOWN_LENGTH_MAX = 256
_REQUESTS_OF_A_BATCH = 3
"""More than any provider needs to submit one: each of them is cut off once."""
_MARK = "c4nary"
_KEY = f"sk-kit-{_MARK}-key"
_PROMPT = f'{{"mid": "100.5", "note": "{_MARK}-prompt"}}'
_SYSTEM = f"Answer with one JSON object. {_MARK}-system"
_SCHEMA = (
    b'{"type":"object","additionalProperties":false,"required":["factor","words"],'
    b'"properties":{"factor":{"type":"number","minimum":0.5,"maximum":3},"words":{"type":"string"}}}'
)
_QUESTION = CompletionRequest(
    system=_SYSTEM, prompt=_PROMPT, reply_schema=_SCHEMA, reply_name="advice", max_reply_tokens=200
)
_TEXT = '{"factor": 1.25, "words": "caf\\u00e9 } ``` {\\"a\\": 1}"}'

_ENDINGS = {
    "blank": ReplyStatus.BLANK,
    "null": ReplyStatus.BLANK,
    "length": ReplyStatus.TRUNCATED,
    "refusal": ReplyStatus.REFUSED,
    "filter": ReplyStatus.REFUSED,
}
_HTTP = {
    **dict.fromkeys(("400", "401", "403", "404", "413", "422"), ReplyStatus.CONFIG),
    **dict.fromkeys(("402", "429-quota"), ReplyStatus.QUOTA),
    **dict.fromkeys(("429", "529"), ReplyStatus.RATE_LIMITED),
    **dict.fromkeys(("408", "409", "500", "502", "503", "504"), ReplyStatus.UNAVAILABLE),
}
_WAITS_S = {"429-seconds": 7.0, "429-ms": 1.5, "429-date": 3 * 86_400.0}
_BROKEN = (
    "html",
    "empty",
    "array",
    "no-message",
    "nan-envelope",
    "deep",
    "huge",
    "cut",
    "200-error",
    "other-ending",
)


class LLMProviderConformance(ComponentConformance):
    """Subclass it, set `spec` (an LLMProviderSpec), and return from `provider_options` what points it at the server.

    Time is the machine's: no case asserts how long something takes, only that it comes.
    """

    spec_class: ClassVar[type[LLMProviderSpec]] = LLMProviderSpec
    mode: ClassVar[Mode] = Mode.PAPER

    def provider_options(self, server: LlmServer, key: Secret) -> Any:
        """Return an instance of the spec's options that asks `server` with `key`."""
        raise NotImplementedError

    @case("MM-M01")
    def test_the_body_follows_from_the_question(self) -> None:
        """MM-M01."""

        async def play(rig: ProviderRig) -> None:
            first = rig.provider.body(_QUESTION)
            again = (rig.provider.body(_QUESTION), rig.another().body(_QUESTION))
            expect("MM-M01", again == (first, first), was="other bytes for the same question", expected="the same")
            for name, value in {"system": "S", "prompt": "P", "reply_schema": b"{}", "max_reply_tokens": 7}.items():
                fields = {field: getattr(_QUESTION, field) for field in _QUESTION.__struct_fields__} | {name: value}
                other = rig.provider.body(CompletionRequest(**fields))
                expect("MM-M01", other != first, was=f"the same bytes for another {name}", expected="other bytes")
            expect("MM-M01", _KEY.encode() not in first, was="the key in the body", expected="no key in the body")

        self._play(play)

    @case("MM-M02")
    def test_one_call_sends_one_request(self) -> None:
        """MM-M02."""

        async def play(rig: ProviderRig) -> None:
            for name in ("valid", "429", "429-ms", "500", "503", "408", "cut", "blank", "401"):
                before = len(rig.server.questions)
                await rig.ask("MM-M02", name)
                sent = rig.server.questions[before:]
                expect("MM-M02", len(sent) == 1, was=f"{len(sent)} requests after {name!r}", expected="1")
                is_body = sent[0].body == rig.provider.body(_QUESTION)
                expect("MM-M02", is_body, was=sent[0].body.decode(errors="replace"), expected="what `body` returns")

        self._play(play)

    @case("MM-M03")
    def test_a_good_answer_is_handed_through(self) -> None:
        """MM-M03."""

        async def play(rig: ProviderRig) -> None:
            reply = await rig.ask("MM-M03", Scripted(text=_TEXT, model="other-model-2030"))
            told = (reply.status, reply.model, reply.http_status, reply.detail)
            expect("MM-M03", told == (ReplyStatus.OK, "other-model-2030", 200, ""), was=told, expected="OK, 200")
            is_same = json.loads(reply.text) == json.loads(_TEXT)
            expect("MM-M03", is_same, was=reply.text, expected=_TEXT)
            expect("MM-M03", reply.request_id.startswith("req_"), was=reply.request_id, expected="req_...")
            expect("MM-M03", reply.latency_ns > 0, was=f"latency {reply.latency_ns}", expected="above 0")
            for name in ("valid", "keep-alive"):
                reply = await rig.ask("MM-M03", name)
                expect("MM-M03", reply.status is ReplyStatus.OK, was=f"{name}: {reply}", expected="OK")

        self._play(play)

    @case("MM-M04")
    def test_usage_is_never_too_small(self) -> None:
        """MM-M04."""

        async def play(rig: ProviderRig) -> None:
            plain = (await rig.ask("MM-M04", "valid")).usage
            is_told = plain.input_tokens > 0 and plain.output_tokens > 0 and not plain.is_estimated
            expect("MM-M04", is_told, was=plain, expected="the tokens that were told")
            cached = (await rig.ask("MM-M04", "cached")).usage
            right = Usage(plain.input_tokens + 20, 20, 0, plain.output_tokens)
            expect("MM-M04", cached == right, was=cached, expected=right)
            for name in ("no-usage", "absurd-usage"):
                usage = (await rig.ask("MM-M04", name)).usage
                is_above = usage.input_tokens >= plain.input_tokens and usage.output_tokens >= plain.output_tokens
                expect("MM-M04", usage.is_estimated and is_above, was=f"{name}: {usage}", expected=f"above {plain}")

        self._play(play)

    @case("MM-M05")
    def test_half_an_answer_is_none(self) -> None:
        """MM-M05."""
        self._play(self._expecting("MM-M05", _ENDINGS))

    @case("MM-M06")
    def test_errors_say_what_to_do(self) -> None:
        """MM-M06."""
        self._play(self._expecting("MM-M06", _HTTP))

    @case("MM-M07")
    def test_waits_are_read(self) -> None:
        """MM-M07."""

        async def play(rig: ProviderRig) -> None:
            for name, wait_s in _WAITS_S.items():
                reply = await rig.ask("MM-M07", name)
                is_date = name == "429-date"
                is_right = reply.retry_after_ns > 0 if is_date else reply.retry_after_ns == round(wait_s * 1e9)
                expect("MM-M07", is_right, was=f"{name}: {reply.retry_after_ns} ns", expected=f"{wait_s} s")
            silent = await rig.ask("MM-M07", "429")
            expect("MM-M07", silent.retry_after_ns == 0, was=silent.retry_after_ns, expected="0 where nothing is said")

        self._play(play)

    @case("MM-M08")
    def test_a_server_that_hangs_is_left(self) -> None:
        """MM-M08."""

        async def play(rig: ProviderRig) -> None:
            for name in ("hang", "drip"):
                reply = await rig.ask("MM-M08", name, timeout_s=_TIMEOUT_S)
                is_left = reply.status is ReplyStatus.UNAVAILABLE and not reply.text
                expect("MM-M08", is_left, was=f"{name}: {reply}", expected="UNAVAILABLE")
                usage = reply.usage
                is_worst = usage.is_estimated and usage.output_tokens >= _QUESTION.max_reply_tokens
                expect("MM-M08", is_worst, was=f"{name}: {usage}", expected="an estimate of the longest answer")

        self._play(play)

    @case("MM-M09")
    def test_what_is_no_answer_is_not_ok(self) -> None:
        """MM-M09."""

        async def play(rig: ProviderRig) -> None:
            for name in _BROKEN:
                reply = await rig.ask("MM-M09", name)
                is_safe = reply.status is not ReplyStatus.OK and not reply.text
                expect("MM-M09", is_safe, was=f"{name}: {reply}", expected="another status than OK, and no text")
            reply = await rig.ask("MM-M09", "valid")
            expect("MM-M09", reply.status is ReplyStatus.OK, was=reply, expected="OK after all of them")
            is_bounded = rig.server.huge_reads == 0
            expect("MM-M09", is_bounded, was="64 MiB read to the end", expected="a bound of the body")

        self._play(play)

    @case("MM-M10")
    def test_nothing_secret_is_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """MM-M10."""
        echoes = (
            Scripted(status=400, error=f"{_MARK}-prompt"),
            Scripted(status=401, error=_KEY),
            Scripted(is_error=True, error=_KEY),
            Scripted(model=_KEY),
            Scripted(text=f'{{"factor": 1, "words": "{_KEY}"}}'),
        )
        failing = ("400", "401", "403", "429-quota", "500", "200-error", "cut", "html", "valid")

        async def play(rig: ProviderRig) -> None:
            shown = [repr(rig.provider), str(rig.provider)]
            for name in (*failing, *echoes):
                reply = await rig.ask("MM-M10", name)
                shown += [reply.detail, reply.model, reply.request_id]
                expect("MM-M10", _KEY not in reply.text, was="the key in a text", expected="no key anywhere")
            shown.append((await rig.ask("MM-M10", "hang", timeout_s=_TIMEOUT_S)).detail)
            for name in ("401", "html", "valid"):
                shown.append(repr(await rig.list_models("MM-M10", name)))
            for text in (*shown, caplog.text, *(repr(record.__dict__) for record in caplog.records)):
                expect("MM-M10", _MARK not in text, was=f"key or question in {text[:200]}", expected="neither")
            for request in rig.server.requests:
                is_hidden = _KEY.encode() not in request.body and _KEY not in request.target
                expect("MM-M10", is_hidden, was=f"the key in {request!r}", expected="the key in a header alone")

        with caplog.at_level(logging.DEBUG):
            self._play(play)

    @case("MM-M11")
    def test_models_are_listed_or_said_to_be_unknown(self) -> None:
        """MM-M11."""

        async def play(rig: ProviderRig) -> None:
            listed = await rig.list_models("MM-M11", "valid")
            right = ModelList(ReplyStatus.OK, rig.server.models)
            expect("MM-M11", listed == right, was=listed, expected=right)
            none = await rig.list_models("MM-M11", "404")
            is_none = none.status is ReplyStatus.OK and none.models == ()
            expect("MM-M11", is_none, was=none, expected="OK and empty where there is no list")
            for name, status in {"401": ReplyStatus.CONFIG, "503": ReplyStatus.UNAVAILABLE}.items():
                failed = await rig.list_models("MM-M11", name)
                expect("MM-M11", failed.status is status, was=failed, expected=status.value)
            for name in ("html", "array", "cut", "huge"):
                failed = await rig.list_models("MM-M11", name)
                expect("MM-M11", failed.status is not ReplyStatus.OK, was=f"{name}: {failed}", expected="not OK")
            failed = await rig.list_models("MM-M11", "hang", timeout_s=_TIMEOUT_S)
            expect("MM-M11", failed.status is ReplyStatus.UNAVAILABLE, was=failed, expected="UNAVAILABLE")

        self._play(play)

    @case("MM-M12")
    def test_connections_end_with_their_last_user(self) -> None:
        """MM-M12."""

        async def play(rig: ProviderRig) -> None:
            other = rig.another(is_shared=True)
            await rig.cancel_a_call("MM-M12")
            reply = await rig.ask("MM-M12", "valid")
            expect("MM-M12", reply.status is ReplyStatus.OK, was=reply, expected="OK after a cancelled call")
            await rig.patiently("MM-M12", other.aclose(), "aclose to end")
            reply = await rig.ask("MM-M12", "valid")
            expect("MM-M12", reply.status is ReplyStatus.OK, was=reply, expected="OK after another one was closed")
            await rig.patiently("MM-M12", rig.provider.aclose(), "aclose to end")
            rig.is_closed = True
            await rig.until("MM-M12", lambda: rig.server.open_connections == 0, "no connection left open")

        self._play(play)

    @case("MM-M13")
    def test_foreign_text_is_shown_short_and_plain(self) -> None:
        """MM-M13."""

        async def play(rig: ProviderRig) -> None:
            for name in ("injection", "injection-error"):
                reply = await rig.ask("MM-M13", name)
                for text in (reply.model, reply.request_id, reply.detail):
                    is_plain = text.isprintable() and len(text) <= _SHOWN_LENGTH_MAX
                    expect("MM-M13", is_plain, was=f"{name}: {text!r}", expected="short and printable text")
                if name == "injection":
                    is_whole = reply.status is ReplyStatus.OK and json.loads(reply.text)["words"] == INJECTION
                    expect("MM-M13", is_whole, was=reply.text, expected="the answer itself unchanged")

        self._play(play)

    @case("MM-M14")
    def test_batches_are_joined_by_id_and_never_lost(self) -> None:
        """MM-M14: holds where the provider is a `BatchProvider`."""

        async def play(rig: ProviderRig) -> None:
            provider = rig.provider
            if not isinstance(provider, BatchProvider):
                return
            await self._joins_by_id(rig, provider)
            await self._loses_no_batch(rig, provider)

        self._play(play)

    @staticmethod
    async def _joins_by_id(rig: ProviderRig, provider: BatchProvider) -> None:
        texts = [f'{{"factor": 1, "words": "{number}"}}' for number in range(4)]
        rig.server.batches.script = ScriptedBatch(
            ending="expired", answered=3, replies=[Scripted(text=text) for text in texts]
        )
        asked = {f"kit-joined-{number}": _QUESTION for number in range(4)}
        batch = Batch("kit-joined", SystemClock().now_ns(), len(asked))
        batch = await provider.submit_batch(batch, asked, timeout_s=_PATIENCE_S)
        is_submitted = batch.status is BatchStatus.UNDER_WAY and bool(batch.name)
        expect("MM-M14", is_submitted, was=batch, expected="a batch under way, with a name")
        batch = await provider.batch_state(batch, timeout_s=_PATIENCE_S)
        expect("MM-M14", batch.status is BatchStatus.ENDED, was=batch, expected="a batch that has ended")
        fetched = await provider.batch_replies(batch, asked, timeout_s=_PATIENCE_S)
        found = {name: reply.text for name, reply in fetched.replies}
        wanted = dict(zip(asked, [*texts[:3], ""], strict=True))
        expect("MM-M14", found == wanted, was=found, expected=f"{wanted}")
        left_out = fetched.replies[-1][1]
        is_free = left_out.status is not ReplyStatus.OK and left_out.usage == Usage()
        expect("MM-M14", is_free, was=left_out, expected="a failed reply without tokens for what was left out")

    @staticmethod
    async def _loses_no_batch(rig: ProviderRig, provider: BatchProvider) -> None:
        rig.server.batches.script = ScriptedBatch(polls=0)
        for requests_before in range(_REQUESTS_OF_A_BATCH):
            label, begun = f"kit-lost{requests_before}", len(rig.server.batches.sizes)
            rig.server.script(*["valid"] * requests_before, "cut")
            asked = {f"{label}-0": _QUESTION}
            batch = Batch(label, SystemClock().now_ns(), len(asked))
            batch = await provider.submit_batch(batch, asked, timeout_s=_PATIENCE_S)
            is_begun = len(rig.server.batches.sizes) > begun
            is_true = not is_begun or batch.status is not BatchStatus.FAILED
            expect("MM-M14", is_true, was=batch, expected="UNKNOWN for a batch whose begin had no whole answer")
            if is_begun and not batch.name:
                found = await provider.find_batch(batch, timeout_s=_PATIENCE_S)
                is_found = found.status is BatchStatus.ENDED and bool(found.name)
                expect("MM-M14", is_found, was=found, expected="the batch with the label")

    def _expecting(self, case_id: str, expected: dict[str, ReplyStatus]) -> Callable[[ProviderRig], Awaitable[None]]:
        async def play(rig: ProviderRig) -> None:
            for name, status in expected.items():
                reply = await rig.ask(case_id, name)
                is_right = reply.status is status and not reply.text
                expect(case_id, is_right, was=f"{name}: {reply}", expected=f"{status.value} and no text")

        return play

    def _play(self, play: Callable[[ProviderRig], Awaitable[None]]) -> None:
        async def main() -> None:
            with LlmServer() as server:
                rig = ProviderRig(self, server)
                try:
                    await play(rig)
                finally:
                    await rig.close()

        anyio.run(main)


class ProviderRig:
    """One provider and the server that it asks."""

    def __init__(self, conformance: LLMProviderConformance, server: LlmServer) -> None:
        self.server = server
        self.is_closed = False
        self._conformance = conformance
        self._resources: dict[str, object] = {}
        self._others: list[LLMProvider] = []
        self.provider = self._built(self._resources)

    def another(self, *, is_shared: bool = False) -> LLMProvider:
        """Return one more provider of the same options, sharing what a plugin shares in a run or not."""
        other = self._built(self._resources if is_shared else {})
        if not is_shared:
            self._others.append(other)
        return other

    async def ask(self, case_id: str, reply: str | Scripted, *, timeout_s: float = _PATIENCE_S) -> CompletionReply:
        """Ask once and return the provider's reply; an exception is the case's failure."""
        self.server.script(reply)
        asked = self.provider.complete(_QUESTION, timeout_s=timeout_s)
        return await self.patiently(case_id, asked, f"a reply to {reply!r}")

    async def list_models(self, case_id: str, reply: str, *, timeout_s: float = _PATIENCE_S) -> ModelList:
        """Ask for the models."""
        self.server.script(reply)
        asked = self.provider.models(timeout_s=timeout_s)
        return await self.patiently(case_id, asked, f"a list of models after {reply!r}")

    async def cancel_a_call(self, case_id: str) -> None:
        """Ask a server that hangs, and cancel that once it has been asked."""
        before = len(self.server.questions)
        self.server.script("hang")
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                await self.provider.complete(_QUESTION, timeout_s=_PATIENCE_S)

            tasks.start_soon(ask)
            await self.until(case_id, lambda: len(self.server.questions) > before, "a request")
            tasks.cancel_scope.cancel()

    async def until(self, case_id: str, is_so: Callable[[], bool], what: str) -> None:
        """Wait until `is_so`; what does not come fails the case."""
        with anyio.move_on_after(_PATIENCE_S):
            while not is_so():  # noqa: ASYNC110 - the server lives in threads and sets no event
                await anyio.sleep(_LOOK_S)
            return
        fail(case_id, was=f"still not so after {_PATIENCE_S:g} s", expected=what)

    async def patiently(self, case_id: str, work: Awaitable[T], what: str) -> T:
        """Return what `work` returns; what never ends fails the case."""
        with anyio.move_on_after(2 * _PATIENCE_S):
            return await work
        return fail(case_id, was=f"nothing after {2 * _PATIENCE_S:g} s", expected=what)

    async def close(self) -> None:
        """Close what was built."""
        open_ones: Iterable[LLMProvider] = self._others if self.is_closed else (self.provider, *self._others)
        for provider in open_ones:
            await provider.aclose()

    def _built(self, resources: dict[str, object]) -> LLMProvider:
        conformance = self._conformance
        key = Secret(value=_KEY, source="env MMFRAME_KIT_KEY")
        provider: LLMProvider = build_component(
            type(conformance).spec,
            conformance.provider_options(self.server, key),
            instruments=conformance.instruments,
            mode=conformance.mode,
            directory=conformance.directory,
            seed=conformance.seed,
            clock=SystemClock(),
            resources=resources,
        )
        return provider
