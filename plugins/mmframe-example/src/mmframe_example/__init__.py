"""The documented minimal plugin: `example/tight-quoter` and the signal it listens to, `example/touch-pressure`."""
