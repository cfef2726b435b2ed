"""What a run was: the header that a journal keeps for each run written to it."""

from __future__ import annotations

import platform
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import tomli

import mmframe
from mmframe.domain.instrument import Instrument, InstrumentKind
from mmframe.domain.kinds import Mode
from mmframe.errors import JournalError
from mmframe.runtime.plan import Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mmframe.runtime.plan import Plan

__all__ = ["RecordedInstrument", "RunHeader", "require_same_run"]


class RecordedInstrument(msgspec.Struct, frozen=True):
    """An instrument's identity and grid, without which the journal's ticks and lots mean nothing."""

    symbol: str
    tick_size: Decimal
    lot_size: Decimal
    min_size_lots: int = 1
    max_size_lots: int | None = None
    min_notional_quote: Decimal = Decimal(0)
    kind: InstrumentKind = InstrumentKind.SPOT
    venue_symbol: str = ""

    @classmethod
    def of(cls, instrument: Instrument) -> RecordedInstrument:
        """Return the record of `instrument`."""
        return cls(
            symbol=instrument.symbol,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
            min_size_lots=instrument.min_size_lots,
            max_size_lots=instrument.max_size_lots,
            min_notional_quote=instrument.min_notional_quote,
            kind=instrument.kind,
            venue_symbol=instrument.venue_symbol,
        )

    def instrument(self) -> Instrument:
        """Return the instrument itself."""
        return Instrument(
            self.symbol,
            tick_size=self.tick_size,
            lot_size=self.lot_size,
            min_size_lots=self.min_size_lots,
            max_size_lots=self.max_size_lots,
            min_notional_quote=self.min_notional_quote,
            kind=self.kind,
            venue_symbol=self.venue_symbol,
        )


class RunHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Who ran what, when, with which code.

    Attributes:
        run_id: The run's part of client order ids.
        mode: `paper`, `backtest` or `live`.
        strategy_file: Its path as the user gave it.
        strategy_hash: SHA-256 of its text.
        strategy_text: The text itself, so that a journal explains itself when the file has changed. Secrets are not in
            it: a strategy file only names where they are.
        started_ns: Wall time of the start, nanoseconds UTC.
        instruments: In market order; a market's number in the tables is its place here.
        signals: Names of the signals, one tuple a market.
        reasons: Texts of the plugins' own reason codes.
        assumptions: What the results assume.
    """

    run_id: str
    strategy: str
    mode: str
    strategy_file: str
    strategy_hash: str
    started_ns: int
    instruments: tuple[RecordedInstrument, ...]
    strategy_text: str = ""
    mmframe_version: str = mmframe.__version__
    python_version: str = platform.python_version()
    provenance: tuple[Provenance, ...] = ()
    signals: tuple[tuple[str, ...], ...] = ()
    reasons: dict[int, str] = {}
    assumptions: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, plan: Plan, *, started_ns: int, strategy_text: str = "", reasons: Mapping[int, str] | None = None
    ) -> RunHeader:
        """Return the header of a run of `plan` that starts at `started_ns`, wall time."""
        return cls(
            run_id=plan.settings.run_id,
            strategy=plan.name,
            mode=plan.mode.value,
            strategy_file=plan.strategy_file,
            strategy_hash=plan.strategy_hash,
            strategy_text=strategy_text,
            started_ns=started_ns,
            instruments=tuple(RecordedInstrument.of(instrument) for instrument in plan.instruments),
            provenance=plan.provenance,
            signals=tuple(tuple(named.name for named in pipeline.signals) for pipeline in plan.pipelines),
            reasons=dict(reasons or {}),
            assumptions=plan.assumptions,
        )


def require_same_run(path: Path, journaled: RunHeader, header: RunHeader) -> None:
    """Check that `header` may continue the run that `journaled` began.

    Orders, positions and profit are counted in the grid and order of the journal's own markets, and fills of paper or
    of a testnet must never pass for real ones.

    Raises:
        JournalError: If strategy, mode, live venue, a market or its grid differ.
    """
    pairs = [
        ("strategy", journaled.strategy, header.strategy),
        ("mode", journaled.mode, header.mode),
        ("markets", _symbols(journaled), _symbols(header)),
    ]
    before, after = _live_venue(journaled), _live_venue(header)
    # What one of the two texts does not say is the plugin's default, which is not known here.
    pairs += [(f"venue.live.{key}", before[key], after[key]) for key in before if key in after]
    for was, now in zip(journaled.instruments, header.instruments, strict=False):
        pairs += [
            (f"{was.symbol} tick_size", str(was.tick_size), str(now.tick_size)),
            (f"{was.symbol} lot_size", str(was.lot_size), str(now.lot_size)),
        ]
    for name, expected, given in pairs:
        if given != expected:
            msg = f"journal {str(path)!r} belongs to another run: {name}: expected {expected!r}, was {given!r}"
            raise JournalError(msg, hint="resume with the strategy that wrote the journal, or start a new journal")


def _live_venue(header: RunHeader) -> dict[str, str]:
    """Return which exchange a live run traded on, as far as its strategy file names it."""
    if header.mode != Mode.LIVE.value:
        return {}
    try:
        table = tomli.loads(header.strategy_text)["venue"]["live"]
        return {key: str(table[key]) for key in ("use", "environment") if key in table}
    except (tomli.TOMLDecodeError, LookupError, TypeError):
        return {}


def _symbols(header: RunHeader) -> str:
    return ", ".join(instrument.symbol for instrument in header.instruments)
