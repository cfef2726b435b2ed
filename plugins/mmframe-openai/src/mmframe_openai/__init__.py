"""OpenAI-compatible models for mmframe: one chat completions provider, and what its servers do differently as data."""
