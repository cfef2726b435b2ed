"""A plugin whose import fails."""

import package_that_nobody_has  # noqa: F401 - the fault
