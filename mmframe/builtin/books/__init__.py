"""The built-in book models."""

from mmframe.builtin.books.sorted_book import SORTED

__all__ = ["BOOKS"]

BOOKS = (SORTED,)
