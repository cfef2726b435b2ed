"""Binance for mmframe: live market data of spot and USDⓈ-M, and captures of it."""
