"""The decision core: synchronous, pure, deterministic. Events in, approved actions out; no clock, no I/O, no randomness."""

from mmframe.engine.engine import CLIENT_ID_PREFIX, Engine, client_id_prefix

__all__ = ["CLIENT_ID_PREFIX", "Engine", "client_id_prefix"]
