"""Sphinx settings: Markdown pages, and a reference that is made from the code at every build."""

from __future__ import annotations

import sys
from pathlib import Path

import mmframe

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "mmframe"
author = "The mmframe authors"
project_copyright = author
version = release = mmframe.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated_reference"]
exclude_patterns = ["_build"]
# A section of the narrative may still be without a page.
suppress_warnings = ["toc.empty_glob"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings mark code with single backticks, as Markdown does.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"mmframe {release}"
html_copy_source = False
