"""A dataclass of settings: values of TOML and texts of variables -> its fields.

The key of a field has ``-`` for ``_``.
"""

from __future__ import annotations

import dataclasses
import types
import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from bigflow_backend.ground.errors import BigflowWarning, UserError, did_you_mean

T = TypeVar("T")


def read_table(model: type[T], table: object, *, key: str, source: str) -> T:
    """Return a table of TOML as an instance of ``model``, a dataclass of settings.

    ``key`` is the dotted name of the table, empty for a whole file, and ``source`` its file.

    :raises UserError: for an unknown key or an invalid value, with the dotted key.
    """
    if not isinstance(table, dict):
        raise _invalid(f"{source}: {key}", "a table", table)
    hints = typing.get_type_hints(model)
    fields = {f.name.replace("_", "-"): f.name for f in dataclasses.fields(model)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in _plural(model, table, source):
        if name not in fields:
            raise UserError(
                f"{source}: unknown key {name!r} in [{key}]", hint=did_you_mean(name, fields)
            )
        wanted, inner = hints[fields[name]], f"{key}.{name}" if key else name
        if dataclasses.is_dataclass(wanted):
            nested = typing.cast("type[Any]", wanted)
            values[fields[name]] = read_table(nested, value, key=inner, source=source)
        else:
            values[fields[name]] = _checked(wanted, value, f"{source}: {inner}")
    return model(**values)


def singulars(model: type[Any]) -> dict[str, str]:
    """Return the names for one value of a list, such as ``platform``, and those of the lists."""
    fields = (f for f in dataclasses.fields(model) if "singular" in f.metadata)
    return {f.metadata["singular"]: f.name for f in fields}


def _plural(model: type[Any], table: Mapping[str, Any], source: str) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values; ``platform = x`` is ``platforms = [x]``.

    :raises UserError: if the table has both.
    """
    lists = singulars(model)
    for name, value in table.items():
        if (plural := lists.get(name)) is None:
            yield name, value
        elif plural in table:
            raise UserError(
                f"{source} has both {name} and {plural}", hint=f"write one of them: {plural}"
            )
        else:
            yield plural, [value]


def read_value(model: type[Any], field_name: str, value: object, *, place: str) -> Any:
    """Return ``value`` as the type of a field of ``model``.

    ``place`` names the key or the option in messages, such as ``--builder``.

    :raises UserError: if the value is not valid.
    """
    return _checked(typing.get_type_hints(model)[field_name], value, place)


def read_text_value(wanted: Any, text: str, *, place: str) -> Any:
    """Return the text of the variable ``place`` as a value of the type ``wanted``.

    A list is its items with spaces between them, and a table ``name=value`` pairs. Both may be
    JSON instead, for values with spaces. In a table of lists, a name may be repeated.

    :raises UserError: if it is not such a value.
    """
    kind = _kind(wanted)
    value: object = text
    if kind is bool:
        value = _BOOLEANS.get(text.lower(), text)
    elif kind is int:
        value = int(text) if text.isascii() and text.isdigit() else text
    elif kind in (tuple, dict):
        if text.lstrip()[:1] in ("[", "{"):
            import json

            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"{place} is not valid JSON: {error}",
                    hint=f"write for example {place}='{_JSON_EXAMPLES[kind]}'",
                ) from error
        elif kind is tuple:
            value = text.split()
        else:
            pairs = [word.partition("=") for word in text.split()]
            if not all(equals and name for name, equals, _ in pairs):
                raise UserError(
                    f"{place} must be a table of strings: got {text!r}",
                    hint=f"write for example {place}='NAME=VALUE NAME=VALUE', or a JSON object",
                )
            several: dict[str, list[str]] = {}
            for name, _, item in pairs:
                several.setdefault(name, []).append(item)
            is_of_lists = _kind(typing.get_args(wanted)[1]) is tuple
            value = several if is_of_lists else {name: own[-1] for name, own in several.items()}
    return _checked(wanted, value, place)


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A setting: a field of a dataclass that is not a table."""

    path: tuple[str, ...]
    """The names of the fields, from the top."""
    type: Any
    field: dataclasses.Field[Any]

    @property
    def key(self) -> str:
        """The key with its table, such as ``image.base-image``."""
        return ".".join(self.path).replace("_", "-")

    @property
    def keys(self) -> tuple[str, ...]:
        """The key, and its name for one value: ``image.platforms``, ``image.platform``."""
        return (self.key, *(".".join((*self.path[:-1], name)) for name in self._singular))

    @property
    def variable(self) -> str:
        """The environment variable, such as ``BIGFLOW_IMAGE_NETWORK``."""
        return self.variables[0]

    @property
    def variables(self) -> tuple[str, ...]:
        """The variable, and its name for one value: ``..._PLATFORMS``, ``..._PLATFORM``."""
        return tuple(
            f"bigflow.{key}".replace(".", "_").replace("-", "_").upper() for key in self.keys
        )

    @property
    def _singular(self) -> tuple[str, ...]:
        return tuple(filter(None, [self.field.metadata.get("singular")]))

    def value(self, settings: Any) -> Any:
        """Return the value in an instance of the dataclass."""
        return _inner(settings, self.path)

    def replaced(self, settings: T, value: object) -> T:
        """Return the instance with another value."""
        *tables, name = self.path
        result: Any = dataclasses.replace(_inner(settings, tables), **{name: value})
        while tables:
            table = tables.pop()
            result = dataclasses.replace(_inner(settings, tables), **{table: result})
        return typing.cast("T", result)


def leaves(model: type[Any], above: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Yield the settings of a dataclass, and of the tables in it."""
    hints = typing.get_type_hints(model)
    for field in dataclasses.fields(model):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from leaves(typing.cast("type[Any]", hint), (*above, field.name))
        else:
            yield Leaf((*above, field.name), hint, field)


def _inner(settings: Any, tables: Sequence[str]) -> Any:
    for table in tables:
        settings = getattr(settings, table)
    return settings


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_JSON_EXAMPLES = {tuple: '["one", "two"]', dict: '{"NAME": "value"}'}


def _kind(wanted: Any) -> Any:
    """Return the type of a value without its parameters; of an optional type, the other one."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return _kind(next(a for a in arguments if a is not type(None)))
    return wanted if origin is None else origin


def _checked(wanted: Any, value: object, place: str) -> Any:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (a for a in arguments if a is not type(None))
        return _checked(inner, value, place)
    if origin is Literal:
        return _choice(arguments, value, place)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _invalid(place, "a list of strings", value)
        places = [f"{place}[{i}]" for i in range(len(value))] if len(value) > 1 else [place]
        return tuple(_checked(arguments[0], v, p) for v, p in zip(value, places, strict=False))
    if origin is dict:
        if not isinstance(value, dict):
            raise _invalid(place, "a table of strings", value)
        if typing.get_origin(arguments[1]) is tuple:  # one item needs no list
            value = {k: [item] if isinstance(item, str) else item for k, item in value.items()}
        return {k: _checked(arguments[1], item, f"{place}.{k}") for k, item in value.items()}
    if type(value) is not wanted or (wanted is int and typing.cast("int", value) < 0):
        raise _invalid(place, _TYPE_NAMES[wanted], value)
    return value


def _choice(choices: tuple[str, ...], value: object, place: str) -> object:
    if value == "embedded" and "layered" in choices:  # the name in version 0.1
        message = f"{place} 'embedded' is now called 'layered'; write 'layered'"
        warnings.warn(message, BigflowWarning, stacklevel=2)
        return "layered"
    if value not in choices:
        *first, last = choices
        raise UserError(
            f"{place} must be {', '.join(first)} or {last}: got {value!r}",
            hint=did_you_mean(str(value), choices),
        )
    return value


_TYPE_NAMES = {str: "a string", bool: "true or false", int: "a whole number"}


def _invalid(place: str, wanted: str, value: object) -> UserError:
    return UserError(f"{place} must be {wanted}: got {value!r}", hint=f"write {wanted}")
