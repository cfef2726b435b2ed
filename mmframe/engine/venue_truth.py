"""The venue's own lists of a market, against ours: before the first quote, after each break, and after the last order.

A live venue knows orders and positions that no journal may know of: those of a run that died, of a request whose answer
was lost, of a person. Nothing is quoted until they agree with what the engine holds, and a run is over only when the
venue has listed no order of ours twice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from mmframe.domain.kinds import OnOpenOrders, OnPosition
from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import Fill, OpenOrdersReport

if TYPE_CHECKING:
    from mmframe.domain.orders import OrderReport, PositionReport, VenueCapabilities
    from mmframe.engine.orders import OrderTracker
    from mmframe.engine.portfolio import MarketLedger
    from mmframe.engine.settings import EngineSettings

__all__ = ["EMPTY_REPORTS", "VenueTruth"]

EMPTY_REPORTS = 2
"""Lists without an order of ours, a query interval apart, that end a live run."""

_NAMED_ORDERS = 5


class VenueTruth:
    """What the venue's lists say of one market. On a virtual venue it is always ready and never asks.

    Args:
        market: The market's index.
        capabilities: What the venue can do.
        settings: Policies and intervals.
        client_id_prefix: What the client ids of all our runs begin with.
        tracker: The market's orders.
        ledger: The market's position.

    Attributes:
        is_ready: The market may be quoted as far as this goes.
        is_confirmed_empty: Since the stop the venue has listed no order of ours, twice; True on a virtual venue.
        is_refused: The start found orders that it must leave as they are: nothing was placed, nothing is asked again.
        wake_ns: When something is to be done without an event; `NEVER_NS` for not at all.
        rival_id: Client id of an order of another run of this strategy that was placed while this one trades; empty
            without one. Two processes on one account would each fill up the limits and cancel the other's orders.
    """

    __slots__ = (
        "_awaits_position",
        "_earlier_ids",
        "_earlier_until_ns",
        "_empty_reports",
        "_exchange_ahead_ns",
        "_grace_ns",
        "_has_started",
        "_interval_ns",
        "_is_compared",
        "_is_live",
        "_is_stopping",
        "_is_up",
        "_ledger",
        "_market",
        "_mismatch_ns",
        "_on_open_orders",
        "_on_position",
        "_position",
        "_prefix",
        "_report_due_ns",
        "_run_id",
        "_takes_effect_ns",
        "_tracker",
        "_up_ns",
        "is_confirmed_empty",
        "is_ready",
        "is_refused",
        "rival_id",
        "wake_ns",
    )

    def __init__(  # noqa: PLR0913 - the two sides that are compared, and by which rules
        self,
        market: int,
        *,
        capabilities: VenueCapabilities,
        settings: EngineSettings,
        client_id_prefix: str,
        tracker: OrderTracker,
        ledger: MarketLedger,
    ) -> None:
        self._market = market
        self._is_live = not capabilities.is_virtual
        self._prefix = client_id_prefix
        self._run_id = settings.run_id
        self._interval_ns = settings.query_interval_ns
        self._grace_ns = settings.position_grace_ns
        self._on_open_orders = settings.on_open_orders
        self._on_position = settings.on_position
        self._tracker = tracker
        self._ledger = ledger
        self._is_up = not self._is_live
        self._is_stopping = False
        self._up_ns = NEVER_NS
        # Of our clock, by the first list: what the exchange dates is compared with what it dates.
        self._exchange_ahead_ns: int | None = None
        self._has_started = False
        self._is_compared = not self._is_live
        self._awaits_position = self._is_live and capabilities.reports_positions
        self._position: PositionReport | None = None
        self._mismatch_ns = NEVER_NS
        self._report_due_ns = NEVER_NS
        self._empty_reports = 0
        self._takes_effect_ns = max(settings.acknowledge_timeout_ns, capabilities.absence_delay_ns)
        # What an earlier run sent can appear for so long after the first list.
        self._earlier_until_ns = NEVER_NS
        self._earlier_ids: set[str] = set()
        self.rival_id = ""
        self.is_confirmed_empty = not self._is_live
        self.is_refused = False
        self.is_ready = not self._is_live
        self.wake_ns = NEVER_NS

    def on_status(self, *, is_up: bool, now_ns: int) -> None:
        """Take that the private stream broke, or is there again: everything is to be compared anew."""
        if not self._is_live or is_up == self._is_up:
            return
        self._is_up = is_up
        if is_up:
            self._up_ns = min(self._up_ns, now_ns)
        self._is_compared = False
        self._tracker.forget_absences()
        if not self._is_stopping:
            self._report_due_ns = now_ns if is_up else NEVER_NS
        self._settle()

    def on_stop(self, now_ns: int) -> None:
        """Ask from now on until the venue lists nothing of ours."""
        if not (self.is_confirmed_empty or self.is_refused or self._is_stopping):
            self._is_stopping = True
            self._report_due_ns = now_ns
            self._settle()

    def wants_report(self, now_ns: int) -> bool:
        """Tell whether to ask for the open orders now, and take it as asked; at the stop only once ours have ended."""
        if now_ns < self._report_due_ns:
            return False
        self._report_due_ns = now_ns + self._interval_ns
        self._settle()
        return not (self._is_stopping and self._tracker.live)

    def on_open_orders(self, report: OpenOrdersReport, now_ns: int) -> str:
        """Compare the venue's list with our orders; return why to halt, or nothing."""
        if self._exchange_ahead_ns is None:
            self._exchange_ahead_ns = report.exchange_ns - report.receive_ns
        ours = [entry for entry in report.orders if entry.client_id.startswith(self._prefix)]
        unknown = [entry for entry in ours if entry.client_id not in self._tracker.live]
        self._look_for_rival([entry.client_id for entry in unknown], now_ns)
        if unknown and not self._has_started and not self._is_stopping:
            if self._on_open_orders is OnOpenOrders.REFUSE:
                return self._refuse(unknown)
            if self._on_open_orders is OnOpenOrders.ADOPT:
                if any(entry.filled_lots for entry in unknown):
                    # While there is something to cancel nothing of ours may rest: the others wait for the next list.
                    ours = [entry for entry in ours if entry not in unknown or entry.filled_lots]
                else:
                    for entry in unknown:
                        self._tracker.adopt(entry)
                    unknown = []
        # What is still unknown after this is cancelled, and the next list tells whether it is gone.
        self._tracker.on_open_orders(
            OpenOrdersReport(report.market, tuple(ours), report.exchange_ns, report.receive_ns), now_ns
        )
        if self._is_stopping:
            self._empty_reports = 0 if ours or self._tracker.live else self._empty_reports + 1
            self.is_confirmed_empty = self.is_confirmed_empty or self._empty_reports >= EMPTY_REPORTS
            if self.is_confirmed_empty:
                self._report_due_ns = NEVER_NS
        elif self._is_up and not unknown:
            self._is_compared = self._has_started = True
            self._report_due_ns = NEVER_NS
            self.compare_position(now_ns)
        self._settle()
        return ""

    def counts(self, fill: Fill) -> bool:
        """Tell whether an execution is one of this run, or of an order of an earlier one that fills while it runs.

        What an earlier run had executed before, and a venue may tell again, is in the position that this run found.
        """
        client_id = fill.client_id
        if not client_id.startswith(self._prefix):
            return False
        is_known = client_id in self._tracker.live or self._tracker.final_state(client_id) is not None
        if is_known or client_id.startswith(f"{self._prefix}{self._run_id}-"):
            return True
        return fill.exchange_ns >= self._up_ns + (self._exchange_ahead_ns or 0)

    def on_unknown_order(self, client_id: str, now_ns: int) -> None:
        """Take that an order which the tracker does not know rests; one of ours is to go."""
        if not client_id.startswith(self._prefix) or not (self._has_started or self._is_stopping):
            # Before the start the list tells what is there, and the policy what becomes of it.
            return
        self._tracker.stray_ids.append(client_id)
        self._look_for_rival([client_id], now_ns)

    def on_position(self, report: PositionReport, now_ns: int) -> None:
        """Take the venue's position; `position_problem` tells in time whether it stays another than ours."""
        self._position = report
        self.compare_position(now_ns)

    def compare_position(self, now_ns: int) -> None:
        """Compare after either side has changed."""
        if self._position is None or (self._awaits_position and not self._is_compared):
            # Orders of an earlier run may still tell fills that are in the venue's position already: they go first.
            return
        if self._position.position_lots == self._ledger.position_lots:
            self._mismatch_ns = NEVER_NS
            self._awaits_position = False
        elif self._mismatch_ns == NEVER_NS:
            # Before the first quote nothing of ours can be on its way, unless orders of an earlier run may have filled.
            is_opening = self._awaits_position and not self._tracker.live
            self._mismatch_ns = now_ns + (0 if is_opening else self._grace_ns)
        self._settle()

    def opening_fill(self, now_ns: int) -> Fill | None:
        """Return the execution that explains a position found at the start, if it is to be adopted."""
        report = self._position
        if (
            not self._awaits_position
            or report is None
            or now_ns < self._mismatch_ns
            or self._on_position is not OnPosition.ADOPT
            or not report.mark_price_ticks
        ):
            return None
        lots = report.position_lots - self._ledger.position_lots
        return Fill(
            market=self._market,
            client_id=f"{self._prefix}{self._run_id}-opening",
            # A journal may hold the opening of an earlier part of the same run, of another position.
            venue_trade_id=f"opening/{self._run_id}/{self._ledger.fill_count}",
            side=Side.BUY if lots > 0 else Side.SELL,
            price_ticks=report.mark_price_ticks,
            size_lots=abs(lots),
            is_maker=False,
            fee=Decimal(0),
            fee_asset=self._ledger.instrument.quote,
            exchange_ns=report.exchange_ns,
            receive_ns=now_ns,
        )

    @property
    def is_position_agreed(self) -> bool:
        """Tell whether the venue's position, where it tells one, is what our fills say."""
        return self._position is None or self._position.position_lots == self._ledger.position_lots

    def position_problem(self, now_ns: int) -> str:
        """Return why the market must halt because the positions have differed for too long, or nothing."""
        if now_ns < self._mismatch_ns or self._position is None:
            return ""
        self._mismatch_ns = NEVER_NS
        self._settle()
        instrument = self._ledger.instrument
        told, ours = instrument.size(self._position.position_lots), instrument.size(self._ledger.position_lots)
        text = f"position at the venue is {told} {instrument.base}, by the fills of this run {ours}"
        return f"{text}; {_position_hint(self._on_position)}" if self._awaits_position else text

    def _look_for_rival(self, client_ids: list[str], now_ns: int) -> None:
        """Tell orders that an earlier run left, or sent at its end, from those of another process."""
        if self._earlier_until_ns == NEVER_NS:
            self._earlier_until_ns = now_ns + self._takes_effect_ns
        own = f"{self._prefix}{self._run_id}-"
        new = [each for each in client_ids if not each.startswith(own) and each not in self._earlier_ids]
        if now_ns < self._earlier_until_ns:
            self._earlier_ids.update(new)
        elif new and not self._is_stopping:
            self.rival_id = self.rival_id or new[0]

    def _refuse(self, unknown: list[OrderReport]) -> str:
        self.is_refused = True
        self._report_due_ns = NEVER_NS
        self._settle()
        names = ", ".join(entry.client_id for entry in unknown[:_NAMED_ORDERS])
        more = f" and {len(unknown) - _NAMED_ORDERS} more" if len(unknown) > _NAMED_ORDERS else ""
        return f"orders of an earlier run rest at the venue: {names}{more}; cancel them, or set live.on_open_orders"

    def _settle(self) -> None:
        self.is_ready = not self._is_live or (self._is_compared and not self._awaits_position)
        self.wake_ns = min(self._report_due_ns, self._mismatch_ns)


def _position_hint(policy: OnPosition) -> str:
    if policy is OnPosition.ADOPT:
        return "the venue told no mark price to adopt it at"
    return 'go on with its journal (--resume), close it, or set live.on_position = "adopt"'
