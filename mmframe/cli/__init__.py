"""The command line: the only part of mmframe that prints or exits."""
