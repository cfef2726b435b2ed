"""Binance for mmframe: captures of spot and USDⓈ-M market streams."""
