"""Bybit for mmframe: captures of v5 public market streams, spot and linear."""
