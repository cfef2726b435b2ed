"""Frozen values without I/O: what the framework talks about. Imports nothing above itself."""
