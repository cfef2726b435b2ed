"""Strategy files: TOML text to typed, checked values, with every problem located."""
