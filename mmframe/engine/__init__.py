"""The decision core: pure, synchronous, deterministic. Events in, approved actions out; no clock, I/O or randomness."""

from mmframe.engine.engine import CLIENT_ID_PREFIX, Engine, client_id_prefix

__all__ = ["CLIENT_ID_PREFIX", "Engine", "client_id_prefix"]
