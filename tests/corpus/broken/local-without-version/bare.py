"""A plugin that does not say for which contract it was written."""

from mmframe.plugin import hookimpl


@hookimpl
def mmframe_register_optimizers():
    return ()
