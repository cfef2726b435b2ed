"""Conformance of optimizers: any situation that the engine can present, alone and in a row."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st

from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason
from mmframe.plugin import OptimizerRule, OptimizerSpec
from mmframe.testing._check import ComponentConformance, case, expect, fail, rule_faults, tell_fill
from mmframe.testing.builders import make_inventory, make_signals
from mmframe.testing.clock import START_NS
from mmframe.testing.conformance._edges import calm_view, edge_situations
from mmframe.testing.strategies import Situation, situations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmframe.domain.views import MarketView
    from mmframe.ports import Optimizer

__all__ = ["OptimizerConformance"]

_GRID_TOLERANCE = 1e-6
_KNOWN_REASONS = frozenset(int(reason) for reason in Reason)


class OptimizerConformance(ComponentConformance):
    """Subclass it and set `spec` (an OptimizerSpec), and `options` if it has required ones.

    Attributes:
        signal_ranges: Smallest and largest value of a needed signal, where its provider promises one. Values outside of
            it are then not tried; NaN always is.
        calm_signals: A plausible value of each needed signal in a calm market; 0.0 where absent.
        distance_max_bps: Largest distance from the mid that is plausible in a calm market.
    """

    spec_class: ClassVar[type[OptimizerSpec]] = OptimizerSpec
    signal_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}
    calm_signals: ClassVar[Mapping[str, float]] = {}
    distance_max_bps: ClassVar[float] = 2_000.0

    def situations(self) -> st.SearchStrategy[Situation]:
        """Return the calls that are tried."""
        return situations(
            instrument=self.instruments[0], signals=type(self).spec.needs, signal_ranges=self.signal_ranges
        )

    def edges(self) -> list[Situation]:
        """Return the calls that are tried first, always the same."""
        return edge_situations(self.instruments[0], self._calm_signals(), rounded=False)

    @case("MM-O01")
    def test_it_returns_a_proposal_of_numbers(self) -> None:
        """MM-O01."""

        def holds(situation: Situation) -> None:
            proposal = self.build().propose(*situation)
            is_kept = type(proposal) is QuoteProposal and all(_is_number(value) for value in proposal)
            expect("MM-O01", is_kept, was=proposal, expected="a QuoteProposal of six numbers")

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    @case("MM-O02")
    def test_what_has_a_size_has_a_price(self) -> None:
        """MM-O02."""

        def holds(situation: Situation) -> None:
            proposal = self.build().propose(*situation)
            for price, size in ((proposal.bid, proposal.bid_size), (proposal.ask, proposal.ask_size)):
                is_kept = math.isfinite(size) and size >= 0.0 and (not size or (math.isfinite(price) and price > 0.0))
                expect("MM-O02", is_kept, was=proposal, expected="a finite price above 0 on each side with a size")

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    @case("MM-O03")
    def test_it_is_never_crossed_on_the_grid(self) -> None:
        """MM-O03."""

        def holds(situation: Situation) -> None:
            proposal = self.build().propose(*situation)
            if not (proposal.bid_size and proposal.ask_size):
                return
            bid, ask = _on_grid(proposal, situation.view)
            expect("MM-O03", bid < ask, was=f"{proposal!r}: bid {bid} ticks, ask {ask} ticks", expected="bid < ask")

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    @case("MM-O04")
    def test_nothing_raises(self) -> None:
        """MM-O04."""

        def holds(row: list[Situation]) -> None:
            optimizer = self.build()
            for situation in row:
                optimizer.propose(*situation)
                tell_fill(optimizer, situation)
                unknown = situation.view._replace(
                    signals=make_signals(**dict.fromkeys(type(self).spec.needs, math.nan))
                )
                optimizer.propose(unknown, situation.inventory, NEUTRAL_ADVICE, NO_QUOTE)
                dust = situation.view._replace(order_size=0.0)
                optimizer.propose(dust, situation.inventory, situation.advice, situation.proposal)

        self.for_all(holds, edges=_rows(self.edges()), row=self._situation_rows())

    @case("MM-O05")
    def test_the_same_inputs_give_the_same_proposals(self) -> None:
        """MM-O05."""

        def holds(row: list[Situation]) -> None:
            was, expected = _run(self.build(), row), _run(self.build(), row)
            expect("MM-O05", was == expected, was=was, expected=expected)

        self.for_all(holds, edges=_rows(self.edges()), row=self._situation_rows())

    @case("MM-O06")
    def test_inputs_are_not_kept(self) -> None:
        """MM-O06."""
        optimizer = self.build()
        first = self._calm_view(START_NS)
        inventory = make_inventory(1.0)
        before = sys.getrefcount(first), sys.getrefcount(inventory)

        optimizer.propose(first, inventory, NEUTRAL_ADVICE, NO_QUOTE)
        for number in range(1, 4):
            optimizer.propose(self._calm_view(START_NS + number), make_inventory(2.0), NEUTRAL_ADVICE, NO_QUOTE)

        after = sys.getrefcount(first), sys.getrefcount(inventory)
        expect(
            "MM-O06",
            after == before,
            was=f"references {before} -> {after} after three more calls",
            expected="no more references",
        )

    @case("MM-O07")
    def test_an_absent_side_says_why(self) -> None:
        """MM-O07."""
        known = _KNOWN_REASONS | {int(code) for code in type(self).spec.reasons}

        def holds(situation: Situation) -> None:
            proposal = self.build().propose(*situation)
            for size, reason in ((proposal.bid_size, proposal.bid_reason), (proposal.ask_size, proposal.ask_reason)):
                is_kept = reason in known and (size > 0.0 or reason != Reason.NONE)
                expect("MM-O07", is_kept, was=proposal, expected="a known reason on each side that has no size")

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    @case("MM-O08")
    def test_calm_quotes_are_near_the_mid(self) -> None:
        """MM-O08."""
        view = self._calm_view(START_NS)
        before = QuoteProposal(view.bid, view.order_size, view.ask, view.order_size, 0, 0)
        for proposal in (NO_QUOTE, before):
            was = self.build().propose(view, make_inventory(), NEUTRAL_ADVICE, proposal)
            for price, size in ((was.bid, was.bid_size), (was.ask, was.ask_size)):
                if size:
                    distance_bps = abs(price - view.mid) / view.mid * 10_000.0
                    expect(
                        "MM-O08",
                        distance_bps <= self.distance_max_bps,
                        was=f"{was!r}, {distance_bps:.1f} bps from the mid {view.mid}",
                        expected=f"at most {self.distance_max_bps} bps",
                    )

    @case("MM-O09")
    def test_two_of_one_spec_are_independent(self) -> None:
        """MM-O09."""

        def holds(row: list[Situation], other: list[Situation]) -> None:
            one, busy = self.build(), self.build()
            _run(busy, other)
            was, expected = _run(self.build(), row), _run(one, row)
            expect("MM-O09", was == expected, was=was, expected=expected)

        rows = self._situation_rows()
        self.for_all(holds, row=rows, other=rows)

    @case("MM-O10")
    def test_a_rule_can_be_compiled(self) -> None:
        """MM-O10."""
        optimizer = self.build()
        if isinstance(optimizer, OptimizerRule):
            faults = list(rule_faults(optimizer.function, optimizer.params))
            if optimizer.fill_function is not None:
                faults += rule_faults(optimizer.fill_function, optimizer.params)
            if faults:
                fail("MM-O10", was="; ".join(faults), expected="numbers and tuples only")

    def _situation_rows(self) -> st.SearchStrategy[list[Situation]]:
        return st.lists(self.situations(), min_size=1, max_size=3)

    def _calm_view(self, now_ns: int) -> MarketView:
        return calm_view(self.instruments[0], self._calm_signals(), now_ns=now_ns)

    def _calm_signals(self) -> dict[str, float]:
        return {name: self.calm_signals.get(name, 0.0) for name in type(self).spec.needs}


def _rows(edges: list[Situation]) -> list[list[Situation]]:
    return [[edge] for edge in edges]


def _on_grid(proposal: QuoteProposal, view: MarketView) -> tuple[int, int]:
    """Round as the kernel does: bid down, ask up, neither through the touch."""
    tick = view.tick
    bid = min(math.floor(proposal.bid / tick + _GRID_TOLERANCE), round(view.ask / tick) - 1)
    ask = max(math.ceil(proposal.ask / tick - _GRID_TOLERANCE), round(view.bid / tick) + 1)
    return bid, ask


def _run(optimizer: Optimizer, row: Sequence[Situation]) -> list[str]:
    # As text, so that NaN equals NaN; repr of a float is exact.
    answers = []
    for situation in row:
        answers.append(repr(optimizer.propose(*situation)))
        tell_fill(optimizer, situation)
    return answers


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
