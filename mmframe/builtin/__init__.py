"""The components that a first run needs, written against the public contract alone, as a stranger's plugin would be."""
