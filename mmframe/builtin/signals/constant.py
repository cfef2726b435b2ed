"""The signal `constant`: a number from the strategy file under the name of a signal."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.domain.views import BookTick
    from mmframe.plugin.rules import State

__all__ = ["CONSTANT", "ConstantOptions", "read"]

_YEAR_S = 31_557_600.0
"""365.25 days: markets that never close have no other year."""
_PLAIN = "plain"
_BPS = "bps"
_ANNUAL_PERCENT = "annual-percent"


@attrs.frozen
class ConstantOptions:
    """Options of `constant`.

    Raises:
        DomainError: If a volatility is negative.
    """

    value: float = option(help="The value.", minimum=-1e18, maximum=1e18, example=0.02)
    unit: str = option(
        help="`plain`: the value as it is. `bps`: of the mid, turned into quote units. `annual-percent`: a volatility, "
        "turned into quote units per sqrt(s).",
        default=_PLAIN,
        choices=(_PLAIN, _BPS, _ANNUAL_PERCENT),
    )

    def __attrs_post_init__(self) -> None:
        if self.unit == _ANNUAL_PERCENT and self.value < 0.0:
            msg = f'value: expected at least 0 with unit = "{_ANNUAL_PERCENT}", was {self.value:g}'
            raise DomainError(msg, hint="a volatility is not negative")


class ConstantParams(NamedTuple):
    """The options as the rule reads them."""

    value: float
    """Share of the mid, unless it is plain."""
    is_share_of_mid: bool


def read(params: ConstantParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the value; NaN for a share of a mid that is no price."""
    if not params.is_share_of_mid:
        return params.value
    return params.value * tick.mid if tick.mid > 0.0 else nan


def _build(options: ConstantOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    scales = {_PLAIN: 1.0, _BPS: 1e-4, _ANNUAL_PERCENT: 0.01 / sqrt(_YEAR_S)}
    return SignalRule(read, ConstantParams(options.value * scales[options.unit], options.unit != _PLAIN))


CONSTANT = SignalSpec(
    name="constant",
    summary="A fixed number, for a stage that reads a signal which you would rather set than measure.",
    description="""\
    value                                      unit = "plain"
    value / 10,000 x mid                       unit = "bps"
    value / 100 / 5,617.6 x mid                unit = "annual-percent", 5,617.6 being the root of a year's seconds

Give it the name of the signal that it stands for: `name = "volatility"`, `name = "spike_flag"`. The other two units
make quote units of what is told in shares of the price: a volatility in bps per sqrt(s) or a drift in bps per second
with "bps", a volatility in percent a year with "annual-percent".

NaN: never, but for a share of a mid that is no price.

When it fails: what it stands for changes, and it does not.

Example: value = 60, unit = "annual-percent" and mid 50,000: 0.60 x 50,000 / 5,617.6 = 5.3403 quote units per
sqrt(s).""",
    options=ConstantOptions,
    build=_build,
    provides="constant",
    unit="that of what it stands for",
)
