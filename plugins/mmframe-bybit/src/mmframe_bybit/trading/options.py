"""What a strategy file may say of the venues, and the addresses that follow from it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import attrs

from mmframe.errors import DomainError
from mmframe.net.redact import origin, require_safe_url
from mmframe.plugin import Secret, option
from mmframe_bybit.options import PING_INTERVAL_S

__all__ = ["Addresses", "VenueOptions", "addresses"]

_LIVE_SITES = (
    "bybit.com",
    "bybit.eu",
    "bybit.nl",
    "bybit.tr",
    "bybit.kz",
    "bybit.ae",
    "bybit.id",
    "bybitgeorgia.ge",
    "manepa.jp",
)
_HOSTS = {
    "live": frozenset({f"{role}.{site}" for site in _LIVE_SITES for role in ("api", "stream")} | {"api.bytick.com"}),
    "testnet": frozenset(
        {"api-testnet.bybit.com", "stream-testnet.bybit.com", "api-testnet.manepa.jp", "stream-testnet.manepa.jp"}
    ),
    "demo": frozenset({"api-demo.bybit.com", "stream-demo.bybit.com"}),
}
_SUFFIXES = {"live": "", "testnet": "-testnet", "demo": "-demo"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@attrs.frozen
class VenueOptions:
    """Keys of `[venue.live]` with `use = "bybit/spot"` or `"bybit/linear"`."""

    api_key: Secret = option(help="The key, as issued.", example={"env": "BYBIT_API_KEY"})
    api_secret: Secret = option(help="Its secret (HMAC keys).", example={"env": "BYBIT_API_SECRET"})
    environment: str = option(
        help="Which exchange the key belongs to; a key of one is unknown to the others.",
        default="live",
        choices=("live", "testnet", "demo"),
    )
    order_entry: str = option(
        help="How orders go: over the trade `websocket` while it is connected (by HTTP otherwise), or by `rest` alone. "
        "Demo has no trade websocket.",
        default="websocket",
        choices=("websocket", "rest"),
    )
    rest_url: str | None = option(
        help="Scheme and host of the HTTP API in place of the environment's: a regional site's, or http to loopback.",
        default=None,
        example="https://api.bybit.eu",
    )
    private_stream_url: str | None = option(
        help="Whole address of the private stream in place of the environment's: wss, or ws to loopback.",
        default=None,
        example="wss://stream.bybit.eu/v5/private",
    )
    trade_stream_url: str | None = option(
        help="Whole address of the trade websocket in place of the environment's: wss, or ws to loopback.",
        default=None,
        example="wss://stream.bybit.eu/v5/trade",
    )
    self_match: str = option(
        help="Which order goes when two of this account would meet (`smpType`, set on every order).",
        default="CancelTaker",
        choices=("CancelTaker", "CancelMaker", "CancelBoth"),
    )
    disconnect_cancel_s: int | None = option(
        help="Time after which the exchange cancels everything when this process is gone (DCP), for accounts that have "
        "it; left out, nothing but this process and `mmframe kill` cancels.",
        default=None,
        unit="seconds",
        minimum=3,
        maximum=300,
        example=10,
    )
    recv_window_ms: int = option(
        help="How old a request may be when the exchange takes it.",
        default=5000,
        unit="milliseconds",
        minimum=500,
        maximum=60_000,
    )
    request_timeout_s: float = option(
        help="Time for an answer, after which a request's outcome counts as unknown.",
        default=10.0,
        unit="seconds",
        minimum=1.0,
        maximum=60.0,
    )
    liveness_timeout_s: float = option(
        help="Time without any sign of life after which a socket counts as dead; a ping goes out every 20 s.",
        default=30.0,
        unit="seconds",
        minimum=PING_INTERVAL_S + 1,
        maximum=600.0,
    )
    requests_max: int = option(
        help="Requests of the strategy that may wait or be under way; one more is refused at once.",
        default=256,
        minimum=8,
        maximum=4096,
    )


class Addresses(NamedTuple):
    """Where the venue is spoken to; `trade` is None where orders go by HTTP alone."""

    rest: str
    private: str
    trade: str | None


def addresses(options: VenueOptions) -> Addresses:
    """Return the addresses of `options`.

    Raises:
        DomainError: If one is not encrypted on its way, or belongs neither to the environment nor to this machine.
    """
    suffix = _SUFFIXES[options.environment]
    rest = options.rest_url or f"https://api{suffix}.bybit.com"
    private = options.private_stream_url or f"wss://stream{suffix}.bybit.com/v5/private"
    trade = options.trade_stream_url or f"wss://stream{suffix}.bybit.com/v5/trade"
    has_trade_socket = options.order_entry == "websocket" and options.environment != "demo"
    for key, url, scheme in (
        ("rest_url", rest, "http"),
        ("private_stream_url", private, "ws"),
        ("trade_stream_url", trade, "ws"),
    ):
        require_safe_url(url, scheme=scheme)
        host = urlsplit(url).hostname or ""
        if host not in _LOOPBACK and host not in _HOSTS[options.environment]:
            msg = f"{key}: expected a host of environment {options.environment!r} or this machine, was {origin(url)}"
            raise DomainError(msg, hint="signed requests go to the exchange alone; check environment and address")
    return Addresses(rest, private, trade if has_trade_socket else None)
