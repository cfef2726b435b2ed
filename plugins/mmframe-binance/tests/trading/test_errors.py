"""The table of error codes: what each verdict is, that it is whole, and that the reference page is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmframe_binance.trading.errors import SPOT_ERRORS, USDM_ERRORS, Verdict, error_page, verdict_of

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "binance-errors.md"

SPOT_DOCUMENTED = (
    *range(-1003, -999),
    *range(-1008, -1005),
    *range(-1016, -1012),
    *range(-1022, -1019),
    *range(-1035, -1032),
    *range(-1106, -1099),
    -1108,
    -1111,
    -1112,
    *range(-1122, -1113),
    -1125,
    -1127,
    -1128,
    -1130,
    -1134,
    -1135,
    -1139,
    -1145,
    *range(-1153, -1150),
    -1155,
    -1158,
    -1160,
    -1161,
    -1165,
    -1166,
    *range(-1191, -1167),
    -1194,
    *range(-1199, -1195),
    -1210,
    -1211,
    *range(-1225, -1219),
    -2010,
    -2011,
    *range(-2016, -2012),
    -2021,
    -2022,
    -2026,
    -2035,
    -2036,
    -2038,
    -2039,
    -2042,
    -2043,
    -1010,
)
USDM_DOCUMENTED = (
    *range(-1008, -999),
    -1010,
    -1011,
    *range(-1016, -1012),
    *range(-1023, -1019),
    -1099,
    *range(-1106, -1099),
    *range(-1122, -1107),
    *range(-1128, -1124),
    -1130,
    -1136,
    *range(-2028, -2009),
    *range(-4033, -3999),
    *range(-4088, -4043),
    -4104,
    *range(-4118, -4113),
    -4131,
    -4135,
    *range(-4142, -4136),
    -4144,
    -4161,
    -4164,
    -4165,
    *range(-4172, -4166),
    -4183,
    -4184,
    -4192,
    -4202,
    -4203,
    -4205,
    -4206,
    *range(-4211, -4207),
    *range(-4403, -4399),
    -5021,
    -5022,
    *range(-5029, -5023),
    *range(-5041, -5036),
)


@pytest.mark.parametrize(
    ("table", "documented"),
    [pytest.param(SPOT_ERRORS, SPOT_DOCUMENTED, id="spot"), pytest.param(USDM_ERRORS, USDM_DOCUMENTED, id="usdm")],
)
def test_every_documented_code_has_a_verdict(table, documented):
    assert set(documented) - set(table) == set()
    assert all(entry.code == code and entry.meaning and entry.name for code, entry in table.items())


@pytest.mark.parametrize(
    ("table", "status", "code", "message", "verdict"),
    [
        pytest.param(SPOT_ERRORS, 400, -2010, "Order would immediately match and take.", Verdict.REFUSED, id="post"),
        pytest.param(SPOT_ERRORS, 400, -2010, "Duplicate order sent.", Verdict.DUPLICATE, id="duplicate"),
        pytest.param(SPOT_ERRORS, 400, -2011, "Unknown order sent.", Verdict.GONE, id="cancel of nothing"),
        pytest.param(SPOT_ERRORS, 400, -2038, "Unknown order sent.", Verdict.GONE, id="amend of nothing"),
        pytest.param(SPOT_ERRORS, 400, -2038, "Order amend (quantity increase) is not supported.", Verdict.REFUSED),
        pytest.param(SPOT_ERRORS, 400, -1021, "Timestamp for this request...", Verdict.CLOCK, id="clock"),
        pytest.param(SPOT_ERRORS, 429, -1015, "Too many new orders.", Verdict.THROTTLED, id="orders"),
        pytest.param(SPOT_ERRORS, 429, -1003, "Too much request weight used.", Verdict.UNKNOWN, id="weight"),
        pytest.param(SPOT_ERRORS, 400, -1007, "Timeout waiting for response.", Verdict.UNKNOWN, id="timeout"),
        pytest.param(SPOT_ERRORS, 401, -2015, "Invalid API-key, IP, or permissions.", Verdict.FATAL, id="key"),
        pytest.param(SPOT_ERRORS, 400, -9999, "A code of tomorrow.", Verdict.UNKNOWN, id="unlisted"),
        pytest.param(SPOT_ERRORS, 500, -1013, "Filter failure: LOT_SIZE", Verdict.UNKNOWN, id="a refusal with 5xx"),
        pytest.param(SPOT_ERRORS, 503, -1008, "Server is busy.", Verdict.UNKNOWN, id="busy spot"),
        pytest.param(USDM_ERRORS, 503, -1008, "Request throttled.", Verdict.THROTTLED, id="503 throttled"),
        pytest.param(USDM_ERRORS, 503, -1, "Service Unavailable.", Verdict.REFUSED, id="503 failed"),
        pytest.param(USDM_ERRORS, 503, -1000, "Unknown error, please check your request.", Verdict.UNKNOWN, id="503"),
        pytest.param(SPOT_ERRORS, 503, -1, "Service Unavailable.", Verdict.UNKNOWN, id="not a spot text"),
        pytest.param(USDM_ERRORS, 400, -2022, "ReduceOnly Order is rejected.", Verdict.REFUSED, id="-2022 of futures"),
        pytest.param(SPOT_ERRORS, 400, -2022, "Order cancel-replace failed.", Verdict.PARTIAL, id="-2022 of spot"),
        pytest.param(USDM_ERRORS, 400, -4116, "clientOrderId is duplicated", Verdict.DUPLICATE, id="duplicate usdm"),
        pytest.param(USDM_ERRORS, 400, -5028, "Timestamp is outside of the ME recvWindow", Verdict.CLOCK, id="engine"),
    ],
)
def test_what_an_error_says_of_its_request(table, status, code, message, verdict):
    assert verdict_of(table, status, code, message) is verdict


def test_the_reference_page_is_the_table():
    page = PAGE.read_text(encoding="utf-8")

    assert page.endswith("\n".join(error_page()))
