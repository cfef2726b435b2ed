"""What a strategy file may say of the venues."""

from __future__ import annotations

import attrs

from mmframe.plugin import Secret, option

__all__ = ["SpotTradingOptions", "TradingOptions", "UsdmTradingOptions"]


@attrs.frozen(kw_only=True)
class TradingOptions:
    """What both venues have."""

    api_key: Secret = option(help="The public part of the API key.", example={"env": "BINANCE_API_KEY"})
    api_secret: Secret = option(
        help="The secret part: a line of text (`hmac`), or a private key in PEM (`ed25519`).",
        example={"env": "BINANCE_API_SECRET"},
    )
    key_type: str = option(
        help="How the key signs; `ed25519` needs `mmframe-binance[ed25519]`.",
        default="hmac",
        choices=("hmac", "ed25519"),
    )
    rest_url: str | None = option(
        help="Another of the environment's hosts, or a server on loopback.",
        default=None,
        example="https://api1.binance.com",
    )
    proxy_url: str | None = option(
        help="An HTTP proxy for everything; the environment's variables are not looked at.",
        default=None,
        example="http://127.0.0.1:3128",
    )
    recv_window_ms: int = option(
        help="How long after its time a request may still be executed.",
        default=5000,
        unit="milliseconds",
        minimum=1,
        maximum=60_000,
    )
    request_timeout_s: float = option(
        help="Time for the answer to a request; after it the outcome is unknown and asked for.",
        default=10.0,
        unit="seconds",
        above=0,
    )
    clock_refresh_s: float = option(
        help="How often the difference between our clock and the exchange's is measured.",
        default=300.0,
        unit="seconds",
        above=0,
    )
    liveness_timeout_s: float = option(
        help="Time without any frame on the private stream after which the venue is down and another one is opened.",
        default=60.0,
        unit="seconds",
        above=0,
    )
    backfill_margin_s: float = option(
        help="How far before the last known trade missed fills are looked for after a gap.",
        default=60.0,
        unit="seconds",
        minimum=0,
    )
    self_trade_prevention: str | None = option(
        help="What happens when an order would meet one of the same account; the symbol's default when left out.",
        default=None,
        choices=("NONE", "EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"),
        example="EXPIRE_MAKER",
    )


@attrs.frozen(kw_only=True)
class SpotTradingOptions(TradingOptions):
    """Keys of `[venue.live]` with `use = "binance/spot"`."""

    environment: str = option(
        help="Where: the exchange itself, its test network, or its demo mode.",
        default="live",
        choices=("live", "testnet", "demo"),
    )
    ws_api_url: str | None = option(
        help="Another of the environment's hosts of the websocket API, or a server on loopback, with its path.",
        default=None,
        example="wss://ws-api.binance.com:9443/ws-api/v3",
    )
    order_entry: str = option(
        help="How orders are sent; over REST too while the socket is down.",
        default="websocket",
        choices=("websocket", "rest"),
    )
    can_amend: bool = option(
        help="Whether a smaller size is an amend that keeps the place in the queue; the symbols must allow it.",
        default=True,
    )
    can_replace: bool = option(
        help="Whether another price is one cancel-and-replace; the symbols must allow it.", default=True
    )


@attrs.frozen(kw_only=True)
class UsdmTradingOptions(TradingOptions):
    """Keys of `[venue.live]` with `use = "binance/usdm"`."""

    environment: str = option(
        help="Where: the exchange itself, or its demo mode.", default="live", choices=("live", "demo")
    )
    stream_url: str | None = option(
        help="Another of the environment's hosts of private streams, or a server on loopback.",
        default=None,
        example="wss://fstream.binance.com",
    )
    dead_man_s: float = option(
        help="After how long without a word from us the exchange cancels everything; 0 leaves it off.",
        default=60.0,
        unit="seconds",
        minimum=0,
    )
