"""A plugin with a hook that is none."""

from mmframe.plugin import hookimpl

MMFRAME_API = 1


@hookimpl
def mmframe_register_optimisers():
    return ()
