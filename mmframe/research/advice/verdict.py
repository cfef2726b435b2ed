"""What the comparisons come to, in plain words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Comparison", "verdict"]

_CHANCE = 0.05

_AGAINST = {
    "none": "no advice",
    "constant": "the model's mean level held constant",
    "shifted": "the same advice at other times",
    "rule": "the simple rule",
}


class Comparison(msgspec.Struct, frozen=True):
    """The model minus another arm: net profit in quote units, with an interval of 95 %."""

    arm: str
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    """With allowance for the other comparisons of the same model."""
    block_s: float
    """Of the bootstrap."""

    @property
    def is_beyond_noise(self) -> bool:
        """Tell whether chance alone would hardly have made it."""
        return self.p_adjusted < _CHANCE


def verdict(comparisons: Sequence[Comparison], quote_asset: str, *, changes_anything: bool) -> tuple[str, ...]:
    """Return what was found, the answer first.

    Args:
        comparisons: The model with each of the other arms.
        quote_asset: What the figures are in.
        changes_anything: Whether the model's advice was ever in force and not neutral.
    """
    by_arm = {comparison.arm: comparison for comparison in comparisons}
    if not changes_anything:
        return ("The model's advice never changed a quote: it was neutral, expired or too unsure all the time.",)
    beyond = [comparison for comparison in comparisons if comparison.is_beyond_noise]
    if not beyond:
        return (
            "No arm differs from the model beyond noise: this recording does not tell whether the advice helped.",
            *_power(comparisons, quote_asset),
        )
    lines = [_in_words(comparison, quote_asset) for comparison in beyond]
    return (*_headline(by_arm, quote_asset), *lines)


def _headline(by_arm: dict[str, Comparison], quote: str) -> list[str]:
    none, constant, shifted, rule = (by_arm.get(arm) for arm in ("none", "constant", "shifted", "rule"))
    has_effect = none is not None and none.is_beyond_noise
    has_timing = shifted is not None and shifted.is_beyond_noise
    lines = []
    if none is not None and has_effect:
        helped = none.difference > 0.0
        lines.append(f"The advice {'helped' if helped else 'cost money'}: {_range(none, quote)} against no advice.")
    if shifted is not None and has_timing:
        what = "earned" if shifted.difference > 0.0 else "lost"
        lines.append(f"The model's timing {what} {_range(shifted, quote)} against the same advice at other times.")
        if none is not None and not has_effect:
            lines.append("Against no advice at all it does not differ beyond noise.")
    elif has_effect and constant is not None and not constant.is_beyond_noise:
        lines.append("Its mean level explains it: the same level held constant does not differ beyond noise.")
    if none is not None and has_effect and none.difference > 0.0 and rule is not None and not rule.is_beyond_noise:
        lines.append("The simple rule, which needs no model, does not do worse beyond noise.")
    return lines or ["The model differs from another arm beyond noise, but not from no advice, nor by its timing."]


def _in_words(comparison: Comparison, quote: str) -> str:
    more = "more" if comparison.difference > 0.0 else "less"
    return f"{_range(comparison, quote)} {more} than {_AGAINST[comparison.arm]} (p {comparison.p_adjusted:.3f})."


def _power(comparisons: Sequence[Comparison], quote: str) -> list[str]:
    widths = [(comparison.high - comparison.low) / 2.0 for comparison in comparisons]
    if not any(width > 0.0 for width in widths):
        return []
    return [f"A difference of less than about {max(widths):.3g} {quote} could not have been seen here."]


def _range(comparison: Comparison, quote: str) -> str:
    low, high = sorted((abs(comparison.low), abs(comparison.high)))
    if comparison.low < 0.0 < comparison.high:
        return f"{comparison.low:+.3g} to {comparison.high:+.3g} {quote}"
    return f"{low:.3g} to {high:.3g} {quote}"
