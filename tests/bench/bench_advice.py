"""What advice costs a quote: a run with an adviser that answers, fails, hangs or floods, against the same run without.

The embedded exchange runs on virtual time as fast as it can, with a finite speed so that the adviser really asks: a
question each virtual second, which is a hundred times as often as a strategy file would have it. Each step of the
driver in which a decision was made is timed on its own, from the look at advice to the last action. The figures are
percentiles of that, all arms in turn in one process: `wall`, where a busy machine shows, and a wait for the thread that
asks would too, and `cpu`, the time that the quoting thread itself worked.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING

import anyio
import attrs

from mmframe.config.advice_tables import AdviserKeys, BudgetTable
from mmframe.domain.advice import (
    AdviceRequest,
    AdviceVerdict,
    Answer,
    CompletionReply,
    CompletionRequest,
    ModelList,
    Rejection,
    ReplyStatus,
)
from mmframe.registry import compose
from mmframe.runtime.driver import StopRequest
from mmframe.runtime.plan import AdviserPlan
from mmframe.runtime.session import Session
from mmframe.runtime.virtual import VirtualDriver
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mmframe.domain.advice import MarketPicture

__all__ = ["BENCHMARKS"]

_VIRTUAL_S = 60.0
_SPEED = 1e6
"""Virtual seconds a second: more than any machine can do, so that nothing waits."""
_ROUNDS = 3
_FLOOD = "[" * 65_000
_S_NS = 1_000_000_000
_STRATEGY = """
schema = 1
[strategy]
name = "bench"
seed = 7
requote_interval_ms = 10
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
[feed]
use = "embedded"
[venue.paper]
use = "embedded"
[[optimizer]]
use = "fixed-spread"
spread_bps = 6
[[optimizer]]
use = "advice"
"""


class Adviser:
    """Asks about mids, and takes a word for an answer."""

    levels = 10
    trades = 20

    def request(self, pictures: Sequence[MarketPicture]) -> AdviceRequest:
        """Return one question about all markets."""
        prompt = " ".join(f"{picture.symbol} {picture.view.mid:.2f} {picture.bids}" for picture in pictures)
        completion = CompletionRequest("Advise.", prompt, b"{}", "advice", 100)
        return AdviceRequest(tuple(picture.market for picture in pictures), completion, "v")

    def read(self, text: str, request: AdviceRequest) -> tuple[Sequence[Answer | Rejection], bool]:
        """Return neutral answers to the word, rejections of anything else."""
        if text != "ok":
            return [Rejection(market, AdviceVerdict.NOT_JSON, "no word") for market in request.markets], False
        return [Answer(market, confidence=1.0) for market in request.markets], False


@attrs.frozen
class Provider:
    """Behaves as its name says."""

    name: str
    model: str = "m"

    def body(self, request: CompletionRequest) -> bytes:
        """Return the prompt."""
        return request.prompt.encode()

    async def complete(self, request: CompletionRequest, *, timeout_s: float) -> CompletionReply:
        """Answer, fail, hang or flood."""
        del request, timeout_s
        if self.name == "hanging":
            await anyio.sleep_forever()
        if self.name == "failing":
            return CompletionReply(ReplyStatus.RATE_LIMITED, detail="failed")
        return CompletionReply(ReplyStatus.OK, text=_FLOOD if self.name == "flooding" else "ok", model=self.model)

    async def models(self, *, timeout_s: float) -> ModelList:
        """List nothing."""
        del timeout_s
        return ModelList(ReplyStatus.OK)

    async def aclose(self) -> None:
        """Close nothing."""


def _session(name: str) -> Session:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strategy.toml"
        path.write_text(_STRATEGY, encoding="utf-8")
        plan = compose(path, no_journal=True)
        keys = AdviserKeys(
            every_s=1.0,
            min_interval_s=1.0,
            timeout_s=100.0,
            budget=BudgetTable(max_requests_per_minute=600, max_tokens_per_day=None),
        )
        if name != "none":
            adviser = AdviserPlan(
                name=name,
                key="adviser[0]",
                adviser=Adviser(),
                provider=Provider(name),
                provider_use="bench/provider",
                keys=keys,
                markets=(0,),
                directory=Path(folder),
            )
            plan = attrs.evolve(plan, advisers=(adviser,))
        session = Session(plan)
        session.open_advice()
        return session


def _run(session: Session, virtual_s: float) -> int:
    limit_ns = int(virtual_s * _S_NS)
    VirtualDriver(session, speed=_SPEED, stop=StopRequest(), observer=None, limit_ns=limit_ns).run()
    return session.engine.decisions


def _contender(name: str) -> Contender:
    def prepare(scale: float) -> Callable[[], int]:
        session = _session(name)
        return lambda: _run(session, max(2.0, _VIRTUAL_S * scale))

    return Contender(name, prepare)


def _step_times_ns(name: str, virtual_s: float) -> list[tuple[int, int]]:
    """Return how long each step with a decision took: wall time, and that of the quoting thread."""
    session = _session(name)
    times: list[tuple[int, int]] = []
    began = [0, 0, 0]
    advise, on_message, decide = session.advise, session.on_message, session.decide

    def timed_advise(now_ns: int) -> None:
        began[:] = session.engine.decisions, perf_counter_ns(), thread_time_ns()
        advise(now_ns)

    def note() -> None:
        if session.engine.decisions > began[0]:
            times.append((perf_counter_ns() - began[1], thread_time_ns() - began[2]))

    def timed_message(batch: object, index: int, now_ns: int) -> None:
        on_message(batch, index, now_ns)  # type: ignore[arg-type] # as it came
        note()

    def timed_decide(now_ns: int) -> None:
        decide(now_ns)
        note()

    session.advise = timed_advise  # type: ignore[method-assign] # measured from outside
    session.on_message = timed_message  # type: ignore[method-assign,assignment]
    session.decide = timed_decide  # type: ignore[method-assign]
    _run(session, virtual_s)
    return times


def _figures(scale: float) -> Mapping[str, float]:
    arms = ("none", "answering", "failing", "hanging", "flooding")
    times: dict[str, list[tuple[int, int]]] = {arm: [] for arm in arms}
    for _ in range(_ROUNDS):
        for arm in arms:
            times[arm] += _step_times_ns(arm, max(2.0, _VIRTUAL_S * scale))
    found: dict[str, float] = {}
    for arm, pairs in times.items():
        for place, clock in enumerate(("wall", "cpu")):
            values = sorted(pair[place] for pair in pairs)
            for share in (0.5, 0.99):
                at = min(len(values) - 1, int(len(values) * share))
                found[f"{arm}_{clock}_p{share * 100:.0f}_us"] = values[at] / 1_000
    return found


BENCHMARKS = (
    Benchmark(
        name="advice",
        unit="decision",
        subject=_contender("flooding"),
        references=tuple(_contender(name) for name in ("none", "failing", "hanging")),
        figures=_figures,
    ),
)
