"""Binance's protocols, written from its public documents.

`errors`, `params`, `limits` and `gateway` are what its products share: percent-encoded and socket-style signatures,
weights and bans, error bodies, one table of calls for REST and the WebSocket API. A product adds its table and streams.
"""
