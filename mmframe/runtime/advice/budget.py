"""What asking may cost: requests a minute, tokens and money a UTC day, reserved before a request leaves.

The day's spend outlives the process: a small file holds it, written before a request is sent and again when its cost is
known. A process that dies in between has spent the worst case.
"""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs
import msgspec

from mmframe.domain.advice import Usage
from mmframe.errors import JournalError
from mmframe.runtime.durable import write_durably
from mmframe.runtime.journal.lock import JournalLock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mmframe.config.advice_tables import BudgetTable, PriceTable
    from mmframe.domain.advice import CompletionRequest

__all__ = ["Budget", "Reservation", "batch_budget", "cost_usd", "price_of", "worst_usage"]

_MILLION = 1_000_000
_REPORTED_MAX_USD = 10_000
"""A provider's own figure beyond this is no cost of one call."""
_MINUTE_NS = 60_000_000_000
_NS_PER_S = 1_000_000_000
_LOCK_TRIES = 200
_LOCK_PAUSE_S = 0.005
_HELD = PermissionError if os.name == "nt" else BlockingIOError
"""How the system says that another process has a lock."""
_FRAME_TOKENS = 64
"""What a provider puts around a question: roles, separators, the name of the schema."""


class Spend(msgspec.Struct, frozen=True):
    """What one adviser has spent in one UTC day."""

    day: str
    cost_usd: Decimal = Decimal(0)
    tokens: int = 0
    calls: int = 0


class Reservation(msgspec.Struct, frozen=True):
    """What was set aside for one request: its worst case."""

    day: str
    usage: Usage
    cost_usd: Decimal


def price_of(prices: Sequence[PriceTable], model: str, day: date) -> PriceTable | None:
    """Return the price of a model on a day; of a model without one the dearest row in force; None without any.

    A model that answers under a longer name than a row's (`gpt-4.1-mini-2025-04-14`) is not that row's model: the
    dearest row is charged, so that a budget fails on the safe side.
    """
    in_force = [row for row in prices if date.fromisoformat(row.effective_from) <= day]
    named = [row for row in in_force if row.model == model]
    if named:
        return max(named, key=lambda row: row.effective_from)
    newest = {row.model: row for row in sorted(in_force, key=lambda row: row.effective_from)}
    # Before the first price of all there is none in force; then any is better than none.
    candidates = list(newest.values()) or list(prices)
    return max(candidates, key=lambda row: (row.output_usd + row.input_usd, row.output_usd), default=None)


def cost_usd(usage: Usage, price: PriceTable | None) -> Decimal:
    """Return what a call costs, exactly; nothing where no price is known."""
    if price is None:
        return Decimal(0)
    tokens = max(0, usage.input_tokens)
    cached = min(max(0, usage.cached_tokens), tokens)
    written = min(max(0, usage.cache_write_tokens), tokens - cached)
    plain = tokens - cached - written
    cached_usd = price.input_usd if price.cached_usd is None else price.cached_usd
    write_usd = price.input_usd if price.cache_write_usd is None else price.cache_write_usd
    total = plain * price.input_usd + cached * cached_usd + written * write_usd
    total += max(0, usage.output_tokens) * price.output_usd
    return total / _MILLION


def batch_budget(table: BudgetTable) -> BudgetTable:
    """Return a budget in which prices are those of batches."""
    return attrs.evolve(table, prices=tuple(_batch_price(row) for row in table.prices))


def _batch_price(row: PriceTable) -> PriceTable:
    share = row.batch_share
    return attrs.evolve(
        row,
        input_usd=row.input_usd * share,
        output_usd=row.output_usd * share,
        cached_usd=None if row.cached_usd is None else row.cached_usd * share,
        cache_write_usd=None if row.cache_write_usd is None else row.cache_write_usd * share,
        # So that it is taken off once.
        batch_share=Decimal(1),
    )


def worst_usage(request: CompletionRequest, body: bytes) -> Usage:
    """Return more tokens than a request can use: what is sent, and the longest reply.

    A token is at least one byte, and of digits often no more than that.
    """
    sent = max(len(body), len(request.system.encode()) + len(request.prompt.encode()) + len(request.reply_schema))
    return Usage(input_tokens=sent + _FRAME_TOKENS, output_tokens=request.max_reply_tokens, is_estimated=True)


class Budget:
    """The limits of one adviser and what it has spent. Used by the thread that asks; others only read its figures.

    Args:
        table: The limits.
        path: Where the day's spend is kept; None for a budget that begins anew with the process.

    Attributes:
        spend: Of the newest day, reservations included.
    """

    __slots__ = ("_path", "_requests", "_table", "spend")

    def __init__(self, table: BudgetTable, path: Path | None) -> None:
        self._table = table
        self._path = path
        self._requests: deque[int] = deque()
        self.spend = Spend(day="")
        self._refresh()

    def refusal(self, now_ns: int) -> str:
        """Return why no request may be sent at all now, or nothing. `now_ns` is wall time."""
        while self._requests and self._requests[0] <= now_ns - _MINUTE_NS:
            self._requests.popleft()
        if len(self._requests) >= self._table.max_requests_per_minute:
            return f"{self._table.max_requests_per_minute} requests in the last minute"
        return ""

    def reserve(self, usage: Usage, now_ns: int) -> Reservation | str:
        """Set the worst case of a request aside, durably, and return it, or why there is no room for it.

        Args:
            usage: The most that it can use.
            now_ns: Wall time.
        """
        with self._alone() as problem:
            return problem or self._reserved(usage, now_ns)

    def _reserved(self, usage: Usage, now_ns: int) -> Reservation | str:
        problem = self._refresh()
        if problem:
            return problem
        day = str(_day(now_ns))
        spend = self.spend if self.spend.day >= day else Spend(day=day)
        cost = self._worst_cost(usage)
        tokens = usage.input_tokens + usage.output_tokens
        limit_usd, limit_tokens = self._table.max_cost_usd_per_day, self._table.max_tokens_per_day
        if limit_usd is not None and spend.cost_usd + cost > limit_usd:
            return f"${spend.cost_usd:f} of ${limit_usd:f} spent today, and the next question may cost ${cost:f}"
        if limit_tokens is not None and spend.tokens + tokens > limit_tokens:
            return f"{spend.tokens} of {limit_tokens} tokens used today, and the next question may need {tokens}"
        reservation = Reservation(day=spend.day, usage=usage, cost_usd=cost)
        problem = self._keep(
            Spend(day=spend.day, cost_usd=spend.cost_usd + cost, tokens=spend.tokens + tokens, calls=spend.calls + 1)
        )
        if problem:
            return problem
        self._requests.append(now_ns)
        return reservation

    def settle(self, reservation: Reservation, usage: Usage, model: str, reported_usd: Decimal | None) -> Decimal:
        """Put the cost of a request in the place of its reservation, and return it.

        Args:
            reservation: As given.
            usage: What it used.
            model: That answered; empty where none did.
            reported_usd: The provider's own figure; counted where it is higher than the table's.
        """
        day = date.fromisoformat(reservation.day)
        cost = cost_usd(usage, price_of(self._table.prices, model, day)) if model else self._worst_cost(usage)
        # Whoever wrote the provider may hand over anything.
        if isinstance(reported_usd, Decimal) and reported_usd.is_finite() and reported_usd < _REPORTED_MAX_USD:
            cost = max(cost, reported_usd)
        with self._alone() as problem:
            # What cannot be read or kept now stays spent as it was reserved.
            if not problem and not self._refresh() and self.spend.day == reservation.day:
                self._keep_settled(reservation, usage, cost)
        return cost

    def _keep_settled(self, reservation: Reservation, usage: Usage, cost: Decimal) -> None:
        reserved_tokens = reservation.usage.input_tokens + reservation.usage.output_tokens
        used_tokens = max(0, usage.input_tokens) + max(0, usage.output_tokens)
        self._keep(
            msgspec.structs.replace(
                self.spend,
                cost_usd=self.spend.cost_usd - reservation.cost_usd + cost,
                tokens=self.spend.tokens - reserved_tokens + used_tokens,
            )
        )

    def is_known(self, model: str, now_ns: int) -> bool:
        """Tell whether the table has a price of a model."""
        day = str(_day(now_ns))
        return any(row.model == model and row.effective_from <= day for row in self._table.prices)

    def _worst_cost(self, usage: Usage) -> Decimal:
        """Return the cost at the dearest of all prices, cache writes included: nobody knows who will answer."""
        rows = self._table.prices
        dearest_in = max((max(row.input_usd, row.cache_write_usd or Decimal(0)) for row in rows), default=Decimal(0))
        dearest_out = max((row.output_usd for row in rows), default=Decimal(0))
        return (usage.input_tokens * dearest_in + usage.output_tokens * dearest_out) / _MILLION

    @contextmanager
    def _alone(self) -> Iterator[str]:
        """Keep other processes from the file meanwhile; yield why that cannot be done, or nothing."""
        if self._path is None:
            yield ""
            return
        lock = _locked(self._path)
        try:
            yield lock if isinstance(lock, str) else ""
        finally:
            if not isinstance(lock, str):
                lock.release()

    def _keep(self, spend: Spend) -> str:
        """Keep a spend durably; return why it could not be kept, when nothing may be spent."""
        if self._path is not None:
            try:
                write_durably(self._path, msgspec.json.encode(spend))
            except OSError as error:
                return f"the day's spend cannot be kept in {self._path.name!r}: {error.strerror}"
        self.spend = spend
        return ""

    def _refresh(self) -> str:
        """Take what is kept: another run of the strategy may have spent too. Return why it cannot be read."""
        if self._path is None:
            return ""
        try:
            self.spend = msgspec.json.decode(self._path.read_bytes(), type=Spend)
        except FileNotFoundError:
            return ""
        except (OSError, msgspec.DecodeError):
            # Whoever does not know what was spent spends nothing more.
            return (
                f"the day's spend in {self._path.name!r} cannot be read; remove the file when you know what was spent"
            )
        return ""


def _locked(path: Path) -> JournalLock | str:
    """Return the right to write a file, waiting a moment for another process to be done, or why there is none."""
    for _ in range(_LOCK_TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return JournalLock(path, run_id="")
        except OSError as error:
            return f"the day's spend cannot be kept in {path.name!r}: {error.strerror}"
        except JournalError as error:
            if not isinstance(error.__cause__, _HELD):
                return f"the day's spend cannot be kept in {path.name!r}: {error.message}"
            time.sleep(_LOCK_PAUSE_S)
    return f"the day's spend in {path.name!r} is being written by another process"


def _day(now_ns: int) -> date:
    return datetime.fromtimestamp(now_ns // _NS_PER_S, tz=UTC).date()
