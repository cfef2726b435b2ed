"""`constant` hands out a number in the unit that stages expect."""

import pytest

from mmframe.builtin.signals.constant import CONSTANT, ConstantOptions
from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_options


def value_at(mid, **options):
    signal = build_component(CONSTANT, make_options(CONSTANT, options))
    return signal.read(START_NS, BookTick(START_NS, mid - 1.0, 1.0, mid + 1.0, 1.0, mid))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"value": -3.0}, -3.0, id="as it is"),
        pytest.param({"value": 2.0, "unit": "bps"}, 10.0, id="bps of the mid"),
        pytest.param({"value": 60.0, "unit": "annual-percent"}, 5.3403, id="the example of its description"),
    ],
)
def test_the_value_is_in_quote_units(options, expected):
    assert value_at(50_000.0, **options) == pytest.approx(expected, rel=1e-5)


def test_a_share_follows_the_mid():
    assert value_at(25_000.0, value=2.0, unit="bps") == pytest.approx(5.0)


def test_a_volatility_is_not_negative():
    with pytest.raises(DomainError) as caught:
        ConstantOptions(value=-1.0, unit="annual-percent")

    assert caught.value.message == 'value: expected at least 0 with unit = "annual-percent", was -1'
