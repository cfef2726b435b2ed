"""What the doctor finds on an account, before anything is traded."""

from __future__ import annotations

import pytest

from mmframe.domain.findings import FindingLevel
from mmframe.domain.kinds import Mode
from mmframe.testing import build_context, make_instrument
from mmframe_bybit.trading.doctor import examine

CHANGES = {"/v5/order/create", "/v5/order/amend", "/v5/order/cancel", "/v5/order/cancel-all"}
CHANGES |= {"/v5/account/set-limit-px-action", "/v5/order/disconnected-cancel-all"}


@pytest.fixture
def examined(exchange, time, venue_options):
    """Return a function that examines the account and gives the findings by subject."""

    async def run(category="linear", **options):
        instruments = (make_instrument("BTC/USDT", tick_size="0.5", lot_size="0.001"),)
        context = build_context(instruments=instruments, clock=time.clock, mode=Mode.LIVE)
        findings = await examine(category, venue_options(**options), context, sleep=time.sleep)
        assert len({finding.subject for finding in findings}) == len(findings)
        assert all(finding.text for finding in findings)
        assert all(finding.hint for finding in findings if finding.level is FindingLevel.WARNING)
        return {finding.subject: finding for finding in findings}

    return run


def level(findings, subject):
    return findings[subject].level.value


async def test_an_account_that_is_as_it_should_be(exchange, examined):
    exchange.moves_prices = False

    findings = await examined()

    assert {finding.level for finding in findings.values()} == {FindingLevel.OK}
    assert {subject: finding.text for subject, finding in findings.items() if subject != "reachability"} == {
        "clock skew": "the exchange's clock is +0 ms from ours (±0 ms); the venue allows for it",
        "key permissions": "the key can trade linear and cannot withdraw",
        "key addresses": "the key is bound to 1 addresses",
        "account mode": "unified trading account, REGULAR_MARGIN",
        "prices out of limits": "orders out of the price limits are refused, not moved",
        "cancel on disconnect": "the account has none: when this machine is gone its orders stay; "
        "`mmframe kill` works from another",
        "instrument BTC/USDT": "tick 0.5, lot 0.001, smallest 0.001, largest 5.000 BTC, at least 0.5 USDT",
        "fees BTC/USDT": "maker 2 bps, taker 5.5 bps",
        "open orders BTC/USDT": "none",
        "position BTC/USDT": "none, one-way mode",
        "rate limits": "10 new orders, 10 changes and 10 cancels a second, until the exchange's answers say "
        "otherwise; more than 10 in gate.max_orders_per_second may have quotes refused unsent",
    }


async def test_it_changes_nothing(exchange, examined):
    exchange.place("foreign-1")

    await examined()

    assert not CHANGES & {path for path, _ in exchange.requests}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"permissions": {"ContractTrade": ["Order"], "Wallet": ["Withdraw"]}}, "the key can withdraw"),
        ({"readOnly": 1}, "the key is read-only"),
        ({"permissions": {"Spot": ["SpotTrade"]}}, "the key has no permission to trade linear"),
    ],
    ids=["withdraw", "read-only", "spot alone"],
)
async def test_a_key_that_must_not_be_used(exchange, examined, change, text):
    exchange.key.update(change)

    findings = await examined()

    assert level(findings, "key permissions") == "failed"
    assert findings["key permissions"].text.startswith(text)


async def test_a_key_for_every_address_is_a_warning(exchange, examined):
    exchange.key.update(ips=["*"], deadlineDay=80)

    findings = await examined()

    assert level(findings, "key addresses") == "warning"
    assert findings["key addresses"].text == "the key works from every address and ends in 80 days"


@pytest.mark.parametrize(("ahead_ms", "expected"), [(100, "ok"), (-100, "ok"), (2000, "warning"), (-2000, "warning")])
async def test_a_clock_that_is_off(exchange, examined, ahead_ms, expected):
    exchange.ahead_ms = ahead_ms

    findings = await examined()

    assert level(findings, "clock skew") == expected
    assert f"{ahead_ms:+d} ms" in findings["clock skew"].text
    assert ("would be refused" in findings["clock skew"].text) == (ahead_ms == -2000)


@pytest.mark.parametrize(
    ("prepare", "subject", "expected"),
    [
        (lambda e: setattr(e, "account_mode", 1), "account mode", "failed"),
        (lambda e: e.listed.update(BTCUSDT=("0.1", "0.001")), "instrument BTC/USDT", "failed"),
        (lambda e: e.listed.clear(), "instrument BTC/USDT", "failed"),
        (lambda e: e.place("foreign-1"), "open orders BTC/USDT", "warning"),
        (
            lambda e: e.positions.append({"symbol": "BTCUSDT", "side": "Buy", "size": "0.1", "positionIdx": 0}),
            "position BTC/USDT",
            "warning",
        ),
        (
            lambda e: e.positions.append({"symbol": "BTCUSDT", "side": "", "size": "0", "positionIdx": 2}),
            "position BTC/USDT",
            "failed",
        ),
        (lambda e: e.dcp.append({"product": "DERIVATIVES", "dcpStatus": "ON"}), "cancel on disconnect", "warning"),
        (lambda e: None, "prices out of limits", "warning"),
        (lambda e: e.script["/v5/account/fee-rate"].append(10016), "fees BTC/USDT", "warning"),
        (lambda e: e.script["/v5/account/fee-rate"].append((200, b"<html>")), "fees BTC/USDT", "failed"),
        (lambda e: e.script["/v5/user/query-api"].append(10003), "key permissions", "failed"),
    ],
    ids=[
        "classic",
        "tick",
        "symbol",
        "orders",
        "position",
        "hedge",
        "dcp unused",
        "moved prices",
        "refused",
        "html",
        "key",
    ],
)
async def test_what_else_is_found(exchange, examined, prepare, subject, expected):
    prepare(exchange)

    findings = await examined()

    assert level(findings, subject) == expected


async def test_a_dead_man_switch_that_the_account_has_not_is_a_failure(examined):
    findings = await examined(disconnect_cancel_s=10)

    assert level(findings, "cancel on disconnect") == "failed"


async def test_an_exchange_that_is_not_there_is_a_finding(examined):
    findings = await examined(rest_url="http://127.0.0.1:9")

    assert list(findings) == ["reachability"]
    assert level(findings, "reachability") == "failed"


async def test_an_address_that_is_not_the_exchanges_is_a_finding(examined):
    findings = await examined(rest_url="https://api.example.com")

    assert level(findings, "configuration") == "failed"


async def test_spot_has_no_position(exchange, examined):
    findings = await examined("spot")

    assert "position BTC/USDT" not in findings
    assert findings["rate limits"].text.startswith("20 new orders")
