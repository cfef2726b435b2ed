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

extensions = ["myst_parser", "generated_reference"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"mmframe {release}"
html_copy_source = False
