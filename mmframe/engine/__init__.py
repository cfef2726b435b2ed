"""The decision core: synchronous, pure, deterministic. Events in, approved actions out; no clock, no I/O, no randomness."""
