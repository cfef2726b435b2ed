"""How a component declares its options: an attrs class whose fields carry default, bounds, unit and help.

The strategy file is checked against these fields, and the JSON Schema and the options reference are made from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OPTION_METADATA_KEY", "NoOptions", "OptionInfo", "Secret", "Use", "option"]

OPTION_METADATA_KEY = "mmframe.option"


@attrs.frozen
class OptionInfo:
    """What `option` attaches to a field.

    Bounds are inclusive unless the name says otherwise. `unit` is the field's unit in words, such as `"bps"`.
    """

    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    example: Any = None


def option(  # noqa: PLR0913 - one keyword for each thing that a reference page shows
    *,
    help: str,  # noqa: A002 - the word that click and argparse use
    default: Any = attrs.NOTHING,
    factory: Callable[[], Any] | None = None,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] = (),
    example: Any = None,
) -> Any:
    """Return an attrs field for one option of a component.

    The annotation of the field is its type: `int`, `float`, `bool`, `str`, `Decimal` (money and sizes; a string or an
    integer in the file, never a float), `pathlib.Path`, `Secret`, `Use`, `tuple[...]` of these, `X | None`, or another
    options class for a sub-table.

    Args:
        help: One sentence, for people.
        default: The value when the file has none; without one (and without `factory`) the key is required.
        factory: Makes the default, for nested classes.
        unit: The unit in words; a field's name should end with it.
        minimum: Smallest value allowed.
        maximum: Largest value allowed.
        above: The value must be greater than this.
        choices: The only values allowed, for strings.
        example: A value for the docs when there is no default.
    """
    info = OptionInfo(
        help=help, unit=unit, minimum=minimum, maximum=maximum, above=above, choices=choices, example=example
    )
    metadata = {OPTION_METADATA_KEY: info}
    if factory is not None:
        return attrs.field(factory=factory, metadata=metadata)
    return attrs.field(default=default, metadata=metadata)


@attrs.frozen
class NoOptions:
    """Options of a component that has none."""


@attrs.frozen
class Secret:
    """A secret that came from the environment or a 0600 file. Never shown: `repr` and `str` hide it.

    A component that is only checked, or that runs in a mode without signing, holds one whose value was never read.

    Attributes:
        source: Where it came from, such as `env BINANCE_API_KEY`; safe to show.
    """

    _value: str | None = attrs.field(repr=False)
    source: str

    def reveal(self) -> str:
        """Return the secret itself; call it where the bytes are signed or sent and keep it nowhere.

        Raises:
            DomainError: If it was not read because this mode has no use for it.
        """
        if self._value is None:
            msg = f"secret from {self.source}: was not read, because this mode signs nothing"
            raise DomainError(msg, hint="reveal secrets where a request is signed, not where a component is built")
        return self._value

    def __str__(self) -> str:
        return f"<secret from {self.source}>"


@attrs.frozen
class Use:
    """A reference to another component, as in `provider = { use = "openai/chat", ... }`, with its options unparsed.

    Attributes:
        use: `plugin/component`, or a built-in's name.
        options: The rest of the table; the loader replaces it by the component's parsed options object.
    """

    use: str
    options: Any = None
