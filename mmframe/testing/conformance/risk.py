"""Conformance of risk controls: whatever they are given, they only tighten."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st

from mmframe.domain.liquidation import LiquidationTerms
from mmframe.domain.views import NEUTRAL_ADVICE, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import RiskControlSpec, RiskRule
from mmframe.testing._check import ComponentConformance, case, expect, fail, rule_faults, tell_fill
from mmframe.testing.builders import make_options, make_signals
from mmframe.testing.conformance._edges import edge_situations
from mmframe.testing.strategies import Situation, situations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmframe.domain.views import QuoteProposal
    from mmframe.ports import RiskControl

__all__ = ["RiskControlConformance"]

_KNOWN_REASONS = frozenset(int(reason) for reason in Reason)
_LEVELS = frozenset(int(level) for level in RiskLevel)


class RiskControlConformance(ComponentConformance):
    """Subclass it and set `spec` (a RiskControlSpec), and `options` if it has required ones.

    Attributes:
        signal_ranges: Smallest and largest value of a needed signal, where its provider promises one. Values outside of
            it are then not tried; NaN always is.
        calm_signals: A plausible value of each needed signal in a calm market; 0.0 where absent.
    """

    spec_class: ClassVar[type[RiskControlSpec]] = RiskControlSpec
    signal_ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}
    calm_signals: ClassVar[Mapping[str, float]] = {}

    def situations(self) -> st.SearchStrategy[Situation]:
        """Return the calls that are tried; quotes are on the grid, as the kernel hands them over."""
        return situations(
            instrument=self.instruments[0],
            signals=type(self).spec.needs,
            signal_ranges=self.signal_ranges,
            rounded=True,
        )

    def edges(self) -> list[Situation]:
        """Return the calls that are tried first, always the same."""
        signals = {name: self.calm_signals.get(name, 0.0) for name in type(self).spec.needs}
        return edge_situations(self.instruments[0], signals, rounded=True)

    @case("MM-R01")
    def test_it_returns_a_verdict_with_a_level(self) -> None:
        """MM-R01."""

        def holds(situation: Situation) -> None:
            verdict = self.build().assess(*situation)
            is_kept = type(verdict) is RiskVerdict and verdict.level in _LEVELS
            expect("MM-R01", is_kept, was=verdict, expected="a RiskVerdict with a RiskLevel")

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    @case("MM-R02")
    def test_it_never_loosens(self) -> None:
        """MM-R02."""

        def holds(row: list[Situation]) -> None:
            control = self.build()
            for situation in row:
                verdict = control.assess(*situation)
                tell_fill(control, situation)
                looser = _looser(verdict, situation.proposal)
                expect(
                    "MM-R02", not looser, was=f"{looser}: {verdict!r}", expected=f"not beyond {situation.proposal!r}"
                )

        self.for_all(holds, edges=_rows(self.edges()), row=self._situation_rows())

    @case("MM-R03")
    def test_allow_changes_nothing(self) -> None:
        """MM-R03."""

        def holds(situation: Situation) -> None:
            verdict = self.build().assess(*situation)
            if verdict.level == RiskLevel.ALLOW:
                given = situation.proposal
                was = _quoted(verdict.bid, verdict.bid_size), _quoted(verdict.ask, verdict.ask_size), verdict.reason
                expected = _quoted(given.bid, given.bid_size), _quoted(given.ask, given.ask_size), 0
                expect("MM-R03", was == expected, was=was, expected=expected)

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    @case("MM-R04")
    def test_tightening_says_why(self) -> None:
        """MM-R04."""
        known = (_KNOWN_REASONS | {int(code) for code in type(self).spec.reasons}) - {int(Reason.NONE)}

        def holds(situation: Situation) -> None:
            verdict = self.build().assess(*situation)
            if verdict.level != RiskLevel.ALLOW:
                expect("MM-R04", verdict.reason in known, was=verdict, expected="a known reason other than NONE")

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    @case("MM-R05")
    def test_nothing_raises(self) -> None:
        """MM-R05."""

        def holds(row: list[Situation]) -> None:
            control = self.build()
            for situation in row:
                control.assess(*situation)
                tell_fill(control, situation)
                unknown = situation.view._replace(
                    signals=make_signals(**dict.fromkeys(type(self).spec.needs, math.nan))
                )
                control.assess(unknown, situation.inventory, NEUTRAL_ADVICE, situation.proposal)

        self.for_all(holds, edges=_rows(self.edges()), row=self._situation_rows())

    @case("MM-R06")
    def test_the_same_inputs_give_the_same_verdicts(self) -> None:
        """MM-R06."""

        def holds(row: list[Situation]) -> None:
            was, expected = _run(self.build(), row), _run(self.build(), row)
            expect("MM-R06", was == expected, was=was, expected=expected)

        self.for_all(holds, edges=_rows(self.edges()), row=self._situation_rows())

    @case("MM-R07")
    def test_what_has_a_size_has_a_price(self) -> None:
        """MM-R07."""

        def holds(situation: Situation) -> None:
            verdict = self.build().assess(*situation)
            for price, size in ((verdict.bid, verdict.bid_size), (verdict.ask, verdict.ask_size)):
                is_kept = math.isfinite(size) and size >= 0.0 and (not size or (math.isfinite(price) and price > 0.0))
                expect("MM-R07", is_kept, was=verdict, expected="a finite price above 0 on each side with a size")

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    @case("MM-R08")
    def test_two_of_one_spec_are_independent(self) -> None:
        """MM-R08."""

        def holds(row: list[Situation], other: list[Situation]) -> None:
            one, busy = self.build(), self.build()
            _run(busy, other)
            was, expected = _run(self.build(), row), _run(one, row)
            expect("MM-R08", was == expected, was=was, expected=expected)

        rows = self._situation_rows()
        self.for_all(holds, row=rows, other=rows)

    @case("MM-R09")
    def test_a_rule_can_be_compiled(self) -> None:
        """MM-R09."""
        control = self.build()
        if isinstance(control, RiskRule):
            faults = list(rule_faults(control.function, control.params))
            if control.fill_function is not None:
                faults += rule_faults(control.fill_function, control.params)
            if faults:
                fail("MM-R09", was="; ".join(faults), expected="numbers and tuples only")

    @case("MM-R10")
    def test_it_closes_positions_only_when_its_spec_says_how(self) -> None:
        """MM-R10."""
        spec, options = type(self).spec, type(self).options
        if spec.liquidation is not None:
            terms = spec.liquidation(options if options is not None else make_options(spec))
            expect("MM-R10", type(terms) is LiquidationTerms, was=terms, expected="LiquidationTerms")
            return

        def holds(situation: Situation) -> None:
            verdict = self.build().assess(*situation)
            expect("MM-R10", verdict.level != RiskLevel.LIQUIDATE, was=verdict, expected="at most HALT")

        self.for_all(holds, edges=self.edges(), situation=self.situations())

    def _situation_rows(self) -> st.SearchStrategy[list[Situation]]:
        return st.lists(self.situations(), min_size=1, max_size=3)


def _rows(edges: list[Situation]) -> list[list[Situation]]:
    return [[edge] for edge in edges]


def _looser(verdict: RiskVerdict, given: QuoteProposal) -> str:
    """Return what became looser, or nothing."""
    if verdict.bid_size > given.bid_size or verdict.ask_size > given.ask_size:
        return "size grew"
    if verdict.bid_size and verdict.bid > given.bid:
        return "bid rose"
    if verdict.ask_size and verdict.ask < given.ask:
        return "ask fell"
    return ""


def _quoted(price: float, size: float) -> tuple[float, float] | None:
    # The price of a side without size says nothing.
    return (price, size) if size else None


def _run(control: RiskControl, row: Sequence[Situation]) -> list[str]:
    # As text, so that NaN equals NaN; repr of a float is exact.
    answers = []
    for situation in row:
        answers.append(repr(control.assess(*situation)))
        tell_fill(control, situation)
    return answers
