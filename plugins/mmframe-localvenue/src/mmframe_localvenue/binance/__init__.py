"""Binance's protocols, written from its public documents.

What its products share: percent-encoded and socket-style signatures, weights and bans, error bodies, one table of calls
for REST and the WebSocket API (`errors`, `params`, `limits`, `gateway`), commands on stream sockets (`commands`),
permissions (`permissions`), candles and the day's figures (`candles`, `tickers`). A product adds its table and streams.
"""
