"""Bybit for mmframe: v5 public market streams, spot and linear, live or captured."""
