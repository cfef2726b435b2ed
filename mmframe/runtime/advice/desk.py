"""Where advice enters a run: asks when a question is due, takes what came back, gives the engine what is left of it.

Advice is an input of the engine like any other. An outcome takes effect only when the driver is about to move its
clock, before anything else happens at the new time, and the record says when that was: so a run whose recorded outcomes
take effect at the same times is the same run again.
"""

from __future__ import annotations

import logging
import time
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from mmframe.domain.advice import AdviceCall, AdviceVerdict, Answer, CompletionReply, MarketVerdict, ReplyStatus
from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS
from mmframe.domain.records import AdviceUpdate
from mmframe.domain.views import NEUTRAL_ADVICE, Advice
from mmframe.errors import DataError
from mmframe.net.timing import Timing
from mmframe.runtime.advice.asking import Asker, Asking, Outcome, Question, new_breaker
from mmframe.runtime.advice.bounds import bounded, combined
from mmframe.runtime.advice.budget import Budget
from mmframe.runtime.advice.caller import Caller
from mmframe.runtime.advice.replay import RecordedReplies, read_calls
from mmframe.runtime.advice.schedule import Schedule
from mmframe.runtime.advice.triggers import TriggerWatch
from mmframe.runtime.clocks import SystemClock
from mmframe.runtime.plan import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mmframe.domain.advice import MarketPicture, Rejection
    from mmframe.runtime.plan import AdviserPlan, Plan
    from mmframe.runtime.session import Session

__all__ = ["AdviceDesk", "asks_in"]

_NS_PER_S = 1_000_000_000
_FIRST_LOOK_NS = _NS_PER_S
"""After the start, and between two tries while there is nothing to be seen of a market."""
_TRIGGER_LOOK_NS = _NS_PER_S // 4
_LOG = logging.getLogger("mmframe.advice")


def asks_in(plan: Plan) -> tuple[AdviserPlan, ...]:
    """Return the advisers of a plan that would really ask: in a backtest none, and none that replays."""
    if plan.mode is Mode.BACKTEST:
        return ()
    return tuple(adviser for adviser in plan.advisers if adviser.keys.replay is None)


class _Seat:
    """One adviser at the desk: what it asked last, what of it is in force, and what it has cost."""

    def __init__(self, plan: AdviserPlan, *, is_dormant: bool) -> None:
        keys = plan.keys
        self.plan = plan
        self.name = plan.name
        self.is_dormant = is_dormant
        self.schedule = Schedule(
            plan.markets,
            every_ns=_ns(keys.every_s),
            min_interval_ns=_ns(keys.min_interval_s),
            max_markets=keys.max_markets_per_request,
        )
        self.ttl_ns = _ns(keys.ttl_s)
        self.max_book_age_ns = _ns(keys.max_book_age_s)
        self.watches = {market: TriggerWatch(keys.triggers) for market in plan.markets if keys.triggers}
        self.look_ns = NEVER_NS
        self.in_force: dict[int, tuple[Advice, str]] = {}
        """By market: what is in force, or would be in shadow mode, and which call it came from."""
        self.under_way: Question | None = None
        self.asked_s = 0.0
        """When that was asked, by the machine's own time; for people alone."""
        self.replies: RecordedReplies | None = None
        self.budget: Budget | None = None
        self.recorded: tuple[int, Outcome] | None = None
        """The recorded outcome of the question under way, and when it takes effect."""
        self.calls = 0
        self.cost_usd = Decimal(0)
        self.misses = 0
        self.models: set[str] = set()
        self.trouble = ""
        """Why there is no answer of late, for people."""

    def before(self, market: int, now_ns: int) -> Advice:
        """Return what is in force of it in a market."""
        found = self.in_force.get(market)
        return found[0] if found is not None and now_ns <= found[0].valid_until_ns else NEUTRAL_ADVICE

    @property
    def wake_ns(self) -> int:
        """Return when it wants to be looked at."""
        recorded_ns = NEVER_NS if self.recorded is None else self.recorded[0]
        return min(self.schedule.wake_ns, self.look_ns, recorded_ns)


class AdviceDesk:
    """The advisers of one run.

    Args:
        session: The run.
        plans: Its advisers, none of which has been asked anything.
        replies: By adviser what answers in the place of its model and of its `replay`.

    Attributes:
        wake_ns: When `step` is next to be called, on the driver's clock.
        outcomes: What came back and has not taken effect; when there is any, `step` is to be called too.

    Raises:
        DataError: If recorded replies cannot be read.
        JournalError: If they are in a journal that cannot be read.
    """

    def __init__(
        self, session: Session, plans: Sequence[AdviserPlan], *, replies: Mapping[str, RecordedReplies] | None = None
    ) -> None:
        self._session = session
        self._sequence = 0
        is_backtest = session.plan.mode is Mode.BACKTEST
        self._seats = tuple(_Seat(plan, is_dormant=is_backtest and plan.keys.replay is None) for plan in plans)
        self._by_name = {seat.name: seat for seat in self._seats}
        recordings: dict[Path, RecordedReplies] = {}
        askers: dict[str, Asker] = {}
        breakers = {_provider_of(plan): new_breaker() for plan in plans}
        for seat in self._seats:
            replay = seat.plan.keys.replay
            if replies is not None and seat.name in replies:
                seat.replies, seat.is_dormant = replies[seat.name], False
            elif replay is not None:
                if replay not in recordings:
                    recordings[replay] = RecordedReplies(read_calls(replay))
                seat.replies = recordings[replay]
            elif not seat.is_dormant:
                seat.budget = Budget(seat.plan.keys.budget, self._spend_path(seat.plan))
                askers[seat.name] = Asker(
                    seat.plan.adviser,
                    seat.plan.provider,
                    budget=seat.budget,
                    breaker=breakers[_provider_of(seat.plan)],
                    timeout_s=seat.plan.keys.timeout_s,
                    timing=Timing(SystemClock()),
                    randomness=Random(f"{seat.plan.seed}/{seat.name}"),  # noqa: S311 - jitter is no secret
                )
        self._caller = Caller(askers) if askers else None
        self.outcomes: Sequence[tuple[str, Outcome]] = () if self._caller is None else self._caller.outcomes
        self.wake_ns = 0
        self._is_begun = False
        # Before the first step, which is on the way of quotes.
        if self._caller is not None:
            self._caller.start()
        self._merge_ns: dict[int, int] = {}
        """By market with several advisers: when the first of what is in force ends, so that the others go on alone."""

    # What the driver calls.

    def is_due(self, now_ns: int) -> bool:
        """Tell whether `step` has anything to do before what happens at `now_ns`: one comparison when it has not."""
        return now_ns >= self.wake_ns or bool(self.outcomes)

    def step(self, now_ns: int) -> None:
        """Let outcomes take effect at `now_ns` and ask what is due; the driver's clock has just come there.

        Raises:
            DataError: If a recorded reply is missing and the strategy file wants that to be an error.
        """
        if not self._is_begun:
            self._begin(now_ns)
        for seat, outcome in self._ended(now_ns):
            self._take(seat, outcome, now_ns)
        self._let_others_go_on(now_ns)
        for seat in self._seats:
            if not seat.is_dormant:
                self._look(seat, now_ns)
                self._ask(seat, now_ns)
        self.wake_ns = min(
            min((seat.wake_ns for seat in self._seats if not seat.is_dormant), default=NEVER_NS),
            min(self._merge_ns.values(), default=NEVER_NS),
        )

    def close(self, now_ns: int) -> None:
        """End all asking within a bound, and put on record what had no answer yet."""
        if self._caller is not None:
            self._caller.close()
            for name, outcome in list(self._caller.outcomes):
                seat = self._by_name[name]
                verdict = AdviceVerdict.TOO_LATE if outcome.verdict is None else outcome.verdict
                self._record(seat, outcome, self._same_for_all(outcome, verdict, "the run ended first"), now_ns)
                seat.under_way = None
            self._caller.outcomes.clear()
        for seat in self._seats:
            if seat.under_way is not None and seat.replies is None:
                reply = CompletionReply(ReplyStatus.UNAVAILABLE, detail="the run ended first")
                outcome = Outcome(seat.under_way, Asking(None), reply, AdviceVerdict.CALL_FAILED)
                self._record(
                    seat, outcome, self._same_for_all(outcome, AdviceVerdict.CALL_FAILED, reply.detail), now_ns
                )
            seat.under_way = None

    def lines(self, now_ns: int) -> tuple[str, ...]:
        """Return one line an adviser, for people."""
        return tuple(_line(seat, now_ns) for seat in self._seats)

    # Asking.

    def _begin(self, now_ns: int) -> None:
        self._is_begun = True
        for seat in self._seats:
            if seat.is_dormant:
                continue
            seat.schedule.begin(now_ns + min(_FIRST_LOOK_NS, _ns(seat.plan.keys.every_s)))
            seat.look_ns = now_ns + _TRIGGER_LOOK_NS if seat.watches else NEVER_NS
            for market in seat.plan.markets:
                self._session.engine.keep_trades(market, seat.plan.adviser.trades)

    def _look(self, seat: _Seat, now_ns: int) -> None:
        """See whether a trigger went off since the last look."""
        if now_ns < seat.look_ns:
            return
        seat.look_ns = now_ns + _TRIGGER_LOOK_NS
        for market, watch in seat.watches.items():
            view, inventory = self._session.engine.last_look(market)
            trigger = "" if view is None or inventory is None else watch.look(view, inventory)
            if trigger:
                seat.schedule.trigger((market,), trigger)

    def _ask(self, seat: _Seat, now_ns: int) -> None:
        engine = self._session.engine
        while (due := seat.schedule.due(now_ns)) is not None:
            is_held = engine.is_halted or engine.is_paused or engine.is_stopping
            pictures = () if is_held else tuple(self._pictures(seat, due.markets, now_ns))
            if not pictures:
                # What is not quoted needs no advice, and what cannot be seen cannot be asked about.
                seat.schedule.passed(now_ns + (_ns(seat.plan.keys.every_s) if is_held else _FIRST_LOOK_NS))
                continue
            self._sequence += 1
            question = Question(
                sequence=self._sequence,
                pictures=pictures,
                trigger=due.trigger,
                asked_ns=now_ns,
                books=tuple(engine.book_age(picture.market) for picture in pictures),
            )
            seat.schedule.asked(now_ns)
            seat.under_way, seat.asked_s = question, time.monotonic()
            if seat.replies is not None:
                self._replay(seat, seat.replies, question)
            elif self._caller is not None:
                self._caller.ask(seat.name, question)
            return

    def _pictures(self, seat: _Seat, markets: Sequence[int], now_ns: int) -> Iterator[MarketPicture]:
        engine, adviser = self._session.engine, seat.plan.adviser
        for market in markets:
            book_ns, _ = engine.book_age(market)
            if now_ns - book_ns > seat.max_book_age_ns:
                continue
            picture = engine.picture(market, levels=adviser.levels, trades=adviser.trades)
            if picture is not None:
                yield picture

    def _replay(self, seat: _Seat, replies: RecordedReplies, question: Question) -> None:
        outcome = replies.answer(seat.name, seat.plan.adviser, seat.plan.provider, question)
        if outcome.is_miss:
            seat.misses += 1
            if seat.plan.keys.replay_miss == "error":
                msg = f"{seat.plan.key}: no recorded reply to the question of {seat.name!r} at {question.asked_ns} ns"
                hint = 'record it in a paper run, or set replay_miss = "neutral"'
                raise DataError(msg, file=str(seat.plan.keys.replay), hint=hint)
        # Not before the next step: in the run that was recorded it could not have been there earlier either.
        seat.recorded = (question.asked_ns + max(1, outcome.delay_ns or 0), outcome)

    # What came back.

    def _ended(self, now_ns: int) -> Iterator[tuple[_Seat, Outcome]]:
        if self._caller is not None:
            while self._caller.outcomes:
                name, outcome = self._caller.outcomes.popleft()
                yield self._by_name[name], outcome
        for seat in self._seats:
            if seat.recorded is not None and seat.recorded[0] <= now_ns:
                outcome, seat.recorded = seat.recorded[1], None
                yield seat, outcome

    def _take(self, seat: _Seat, outcome: Outcome, now_ns: int) -> None:
        seat.under_way = None
        seat.schedule.answered()
        if outcome.verdict is not None:
            verdicts = self._same_for_all(outcome, outcome.verdict, outcome.reply.detail)
            updates: list[tuple[int, Answer]] = []
        else:
            verdicts, updates = self._judged(seat, outcome, now_ns)
        self._record(seat, outcome, verdicts, now_ns)
        for market, answer in updates:
            self._tell_engine(market, now_ns, note=answer.note)

    def _judged(
        self, seat: _Seat, outcome: Outcome, now_ns: int
    ) -> tuple[tuple[MarketVerdict, ...], list[tuple[int, Answer]]]:
        """Return what becomes of each answer, and those that change what is in force."""
        question = outcome.question
        books = {picture.market: book for picture, book in zip(question.pictures, question.books, strict=True)}
        found: dict[int, MarketVerdict] = {}
        updates: list[tuple[int, Answer]] = []
        strays: list[MarketVerdict] = []
        for item in outcome.answers:
            if item.market not in books:
                strays.append(
                    MarketVerdict(item.market, AdviceVerdict.UNASKED_MARKET, "this market was not asked about")
                )
            elif item.market in found:
                strays.append(MarketVerdict(item.market, AdviceVerdict.DUPLICATE_KEY, "a second answer for one market"))
            else:
                found[item.market] = self._verdict(seat, question, item, books[item.market], now_ns)
                is_applied = found[item.market].verdict in {AdviceVerdict.APPLIED, AdviceVerdict.CLAMPED}
                if is_applied and isinstance(item, Answer):
                    updates.append((item.market, item))
        missing = [market for market in books if market not in found]
        absent = [MarketVerdict(market, AdviceVerdict.MISSING_KEY, "no answer for this market") for market in missing]
        return (*found.values(), *absent, *strays), updates

    def _verdict(
        self, seat: _Seat, question: Question, item: Answer | Rejection, book: tuple[int, int], now_ns: int
    ) -> MarketVerdict:
        market = item.market
        if not isinstance(item, Answer):
            return MarketVerdict(market, item.verdict, item.detail)
        before = seat.before(market, now_ns)
        if before is NEUTRAL_ADVICE and _is_neutral(item):
            # Nothing in force and nothing asked for: no decision is made because of it.
            return MarketVerdict(market, AdviceVerdict.NOTED, direction=item.direction)
        stale = self._staleness(seat, market, book, now_ns)
        if stale:
            return MarketVerdict(market, AdviceVerdict.STALE_BOOK, stale, direction=item.direction)
        result = bounded(
            item, before, seat.plan.keys.bounds, asked_ns=question.asked_ns, now_ns=now_ns, ttl_ns=seat.ttl_ns
        )
        verdict = result.verdict
        if result.advice is not None:
            seat.in_force[market] = (result.advice, f"{seat.name} call {question.sequence}")
            if seat.plan.keys.shadow:
                verdict = AdviceVerdict.SHADOW
        return MarketVerdict(market, verdict, result.detail, result.advice, item.direction)

    def _staleness(self, seat: _Seat, market: int, book: tuple[int, int], now_ns: int) -> str:
        asked_book_ns, asked_losses = book
        _, losses = self._session.engine.book_age(market)
        if losses != asked_losses:
            return "the book was out of sync since it was asked about"
        if now_ns - asked_book_ns > seat.max_book_age_ns:
            return f"the book that was asked about is {(now_ns - asked_book_ns) / _NS_PER_S:.1f} s old"
        return ""

    def _tell_engine(self, market: int, now_ns: int, *, note: str = "") -> None:
        """Give the engine what all advisers together come to in a market."""
        in_force = [
            seat.in_force[market]
            for seat in self._seats
            if not seat.plan.keys.shadow and seat.before(market, now_ns) is not NEUTRAL_ADVICE
        ]
        advice = combined(advice for advice, _ in in_force)
        self._merge_ns.pop(market, None)
        if len(in_force) > 1:
            self._merge_ns[market] = advice.valid_until_ns + 1
        source = " + ".join(source for _, source in in_force)
        self._session.on_event(AdviceUpdate(market, advice, now_ns, source=source, note=note))

    def _let_others_go_on(self, now_ns: int) -> None:
        for market in [market for market, until_ns in self._merge_ns.items() if until_ns <= now_ns]:
            self._tell_engine(market, now_ns)

    # The record.

    @staticmethod
    def _same_for_all(outcome: Outcome, verdict: AdviceVerdict, detail: str) -> tuple[MarketVerdict, ...]:
        return tuple(MarketVerdict(picture.market, verdict, detail) for picture in outcome.question.pictures)

    def _record(self, seat: _Seat, outcome: Outcome, verdicts: tuple[MarketVerdict, ...], now_ns: int) -> None:
        question, asking, reply = outcome.question, outcome.asking, outcome.reply
        was_sent = outcome.cost_usd is not None
        seat.calls += was_sent
        seat.cost_usd += outcome.cost_usd or Decimal(0)
        seat.trouble = _trouble(reply, verdicts)
        self._heed_model(seat, reply.model)
        request = asking.request
        kept = seat.plan.keys.keeps_prompts and request is not None
        self._session.on_advice_call(
            AdviceCall(
                sequence=question.sequence,
                adviser=seat.name,
                markets=tuple(picture.market for picture in question.pictures),
                prompt_version="" if request is None else request.prompt_version,
                request_hash=asking.request_hash,
                model=seat.plan.provider.model,
                requested_ns=question.asked_ns,
                applied_ns=now_ns,
                reply=reply,
                cost_usd=outcome.cost_usd or Decimal(0),
                verdicts=verdicts,
                is_salvaged=outcome.is_salvaged,
                trigger=question.trigger,
                text_sent=f"{request.completion.system}\n\n{request.completion.prompt}" if kept and request else "",
                question_hash=asking.question_hash,
            )
        )

    def _heed_model(self, seat: _Seat, model: str) -> None:
        """Say once when another model answers than before: under one name the model may change."""
        if model and model not in seat.models:
            if seat.models:
                _LOG.warning("advice_model_changed", extra={"adviser": seat.name, "model": model})
            seat.models.add(model)

    def _spend_path(self, adviser: AdviserPlan) -> Path:
        plan = self._session.plan
        return adviser.directory / RUNS_FOLDER / f"{plan.name}.{plan.mode.value}.{_file_name(adviser.name)}.spend.json"


def _provider_of(plan: AdviserPlan) -> tuple[str, str]:
    """Return what advisers share that ask one model of one provider: when it fails, it fails all of them."""
    return plan.provider_use, plan.provider.model


def _is_neutral(answer: Answer) -> bool:
    return all(getattr(answer, name) == getattr(NEUTRAL_ADVICE, name) for name in Advice._fields[:6])


def _trouble(reply: CompletionReply, verdicts: Sequence[MarketVerdict]) -> str:
    """Return why nothing came of a question, or nothing when something did."""
    if reply.status is not ReplyStatus.OK:
        return reply.detail or reply.status.value
    fine = {AdviceVerdict.APPLIED, AdviceVerdict.CLAMPED, AdviceVerdict.SHADOW, AdviceVerdict.NOTED}
    if not verdicts or any(verdict.verdict in fine for verdict in verdicts):
        return ""
    return f"reply not used: {verdicts[0].verdict.value}"


def _line(seat: _Seat, now_ns: int) -> str:
    parts = [_in_words(seat, now_ns)]
    if seat.plan.keys.shadow:
        parts.insert(0, "shadow")
    if seat.is_dormant:
        return f"{seat.name}: neutral, a backtest asks nobody"
    trouble = _overdue(seat) or seat.trouble
    if trouble:
        parts.append(trouble)
    if seat.misses:
        parts.append(f"{seat.misses} without a recorded reply")
    parts.append(f"{seat.calls} call{'' if seat.calls == 1 else 's'}")
    limit = seat.plan.keys.budget.max_cost_usd_per_day
    spent = seat.cost_usd if seat.budget is None else seat.budget.spend.cost_usd
    if limit is not None or spent:
        parts.append(f"${_money(spent)}" + (f" of ${limit:f}" if limit is not None else ""))
    return f"{seat.name}: {', '.join(parts)}"


def _overdue(seat: _Seat) -> str:
    """Return that a question has no end though its time is over: a provider may block the thread that asks."""
    if seat.under_way is None or seat.replies is not None:
        return ""
    # By the machine: a run's own time may be faster.
    waited_s, timeout_s = time.monotonic() - seat.asked_s, seat.plan.keys.timeout_s
    if waited_s <= 2 * timeout_s:
        return ""
    return f"no answer for {waited_s:.0f} s, timeout_s is {timeout_s:g}: the provider hangs, nothing more is asked"


def _in_words(seat: _Seat, now_ns: int) -> str:
    live = {market: advice for market, (advice, _) in seat.in_force.items() if now_ns <= advice.valid_until_ns}
    if not live:
        return "expired, quotes are neutral" if seat.in_force else "neutral"
    if len(seat.plan.markets) > 1:
        return f"{len(live)} of {len(seat.plan.markets)} markets advised"
    advice = next(iter(live.values()))
    words = [f"bid x{advice.bid_spread_multiplier:.2f} ask x{advice.ask_spread_multiplier:.2f}"]
    if advice.pause:
        words = ["pause"]
    if advice.size_multiplier != 1.0:
        words.append(f"size x{advice.size_multiplier:.2f}")
    if advice.skew_bps:
        words.append(f"skew {advice.skew_bps:+.2f} bps")
    if advice.position_scale != 1.0:
        words.append(f"position x{advice.position_scale:.2f}")
    return f"{' '.join(words)}, {(advice.valid_until_ns - now_ns) / _NS_PER_S:.0f} s left"


def _money(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.0001')):f}"


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:64]


def _ns(seconds: float) -> int:
    return int(seconds * _NS_PER_S)
