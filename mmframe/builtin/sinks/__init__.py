"""The built-in sinks."""

from mmframe.builtin.sinks.json_lines import JSONL

__all__ = ["SINKS"]

SINKS = (JSONL,)
"""Handed over by the core plugin."""
