"""Finding a strategy by its name, or by module and class."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, cast

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .strategy import MatchStrategy

GROUP = "payer_matching.strategies"


def load_strategy(spec: str, options: Mapping[str, Any] | None = None) -> MatchStrategy:
    """Return the strategy registered under a name, or the `module:Class`, made with the options.

    Raises SettingsError naming the valid names, or the valid options.
    """
    made = _make(spec, _find(spec), dict(options or {}))
    if not (callable(getattr(made, "decide", None)) and _is_labelled(made)):
        raise SettingsError(
            f"The matching strategy {spec!r} lacks what a strategy has: name, version, decide()."
        )
    return cast("MatchStrategy", made)


def strategy_names() -> list[str]:
    """Return the names installed packages have registered, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def _find(spec: str) -> Any:
    if ":" in spec:
        return _import(spec)
    for point in entry_points(group=GROUP, name=spec):
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"The matching strategy {spec!r} cannot be loaded: {error}."
            ) from error
    raise SettingsError(
        f"There is no matching strategy {spec!r}. "
        f"Valid names: {', '.join(strategy_names())}; or give module:Class."
    )


def _import(spec: str) -> Any:
    module, _, name = spec.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(
            f"The matching strategy {spec!r} cannot be imported: {error}. "
            f"Valid names: {', '.join(strategy_names())}; or give module:Class."
        ) from error


def _make(spec: str, factory: Any, options: dict[str, Any]) -> Any:
    if not callable(factory):
        raise SettingsError(f"The matching strategy {spec!r} is no class.")
    valid = _parameters(factory)
    unknown = sorted(set(options) - set(valid))
    if unknown:
        raise SettingsError(
            f"The matching strategy {spec!r} has no option {unknown[0]!r}. "
            f"Valid options: {', '.join(valid) or 'none'}."
        )
    for name, value in options.items():
        _check_type(spec, name, value, valid[name])
    try:
        return factory(**options)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"The matching strategy {spec!r} refuses its options: {error}."
        ) from error


def _parameters(factory: Any) -> dict[str, Any]:
    """Return the options by name with their types, where they can be told."""
    try:
        parameters = _signature(factory).parameters
    except ValueError:  # a class written in C tells nothing, so it can be given nothing
        return {}
    return {name: parameter.annotation for name, parameter in parameters.items()}


def _signature(factory: Any) -> inspect.Signature:
    namespace = vars(sys.modules[factory.__module__]) if factory.__module__ in sys.modules else {}
    try:
        return inspect.signature(factory, eval_str=True, globals=dict(namespace))
    except NameError:  # types that are imported for the type checker only
        return inspect.signature(factory)


def _check_type(spec: str, name: str, value: Any, wanted: Any) -> None:
    # bool is an int to Python, not to a settings file.
    fits = type(value) is wanted or (wanted is float and type(value) is int)
    if wanted in (bool, int, float, str) and not fits:
        raise SettingsError(
            f"The option {name!r} of the matching strategy {spec!r} must be a {wanted.__name__}."
        )


def _is_labelled(made: Any) -> bool:
    return all(isinstance(getattr(made, label, None), str) for label in ("name", "version"))
