"""Anthropic's messages API for mmframe."""
