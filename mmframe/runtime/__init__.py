"""The shells around the engine: plans, drivers, clocks and the journal file."""
