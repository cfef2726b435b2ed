"""`mmframe new plugin`: a whole package with one working component, its tests and an example strategy."""

from mmframe.scaffold.package import KINDS, create

__all__ = ["KINDS", "create"]
