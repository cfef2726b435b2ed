"""Histories from Tardis.dev CSV files; the plugin module is `mmframe_tardis.plugin`."""
