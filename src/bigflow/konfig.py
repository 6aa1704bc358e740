"""Configuration as classes, with the names and results of ``bigflow.konfig`` of BigFlow 1.11.3::

class Dev(Konfig):
    project = "rides-dev"
    bucket = expand("{project}-data")

class Prod(Dev):
    project = "rides"

konfig = resolve_konfig({"dev": Dev, "prod": Prod}, default="dev")
konfig.bucket  # "rides-dev-data", or "rides-data" with `--config prod`
"""

from __future__ import annotations

import abc
import os
import re
from collections.abc import Mapping

from bigflow.configuration import current_env
from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

__all__ = [
    "Konfig",
    "current_env",
    "dynamic",
    "dynamic_super",
    "expand",
    "fromenv",
    "merge",
    "resolve_konfig",
    "secretstr",
]

_PLACEHOLDER = re.compile(r"\{(\w+)\}|\}\}|\{\{")


class _Dynamic:
    """A value that is computed once for each object, on its first use."""

    owner: type
    name: str

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, konfig: Any, owner: type | None = None) -> Any:
        if konfig is None:
            return self
        if not isinstance(konfig, Konfig):
            raise TypeError(f"{type(konfig).__name__} must be a subclass of Konfig")
        value = self._compute(konfig)
        if getattr(type(konfig), self.name) is self:  # else super() asks for the parent's value
            vars(konfig)[self.name] = value
        return value


class KonfigMeta(abc.ABCMeta):
    """The class of ``Konfig`` classes: makes each plain value of a class a value of its objects."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if any(isinstance(base, cls) for base in bases):
            if "__init__" in namespace:
                raise ValueError(f"the Konfig class {name} cannot have its own __init__")
            namespace = {
                key: value if key.startswith("_") or hasattr(value, "__get__") else _constant(value)
                for key, value in namespace.items()
            }
        return super().__new__(cls, name, bases, namespace)

    def __call__(cls, **values: Any) -> Any:
        konfig = super().__call__(**values)
        vars(konfig).update(values)
        konfig.__post_init__(**values)
        object.__setattr__(konfig, "_frozen", True)
        return konfig

    def __matmul__(cls, other: Any) -> Any:
        """Return a class with the values of both; those of the left one count."""
        if isinstance(other, dict):
            other = KonfigMeta("AnonymousKonfig", (Konfig,), other)
        return KonfigMeta(
            f"{cls.__name__}@{other.__name__}", (cls, other), {"__module__": __name__}
        )


def _constant(value: Any) -> _Dynamic:
    return _Dynamic(lambda _konfig: value)


class Konfig(Mapping, metaclass=KonfigMeta):  # type: ignore[type-arg]
    """Base class of configurations: a mapping that cannot be changed.

    Its values are the attributes of the class, and the keywords of the constructor.
    """

    __slots__ = ("__dict__", "_frozen", "_init_kwargs")

    def __init__(self, **values: Any) -> None:
        self._init_kwargs = values

    def __post_init__(self, **_values: Any) -> None:
        for name in dir(self):
            if not name.startswith("_"):
                getattr(self, name)  # computes it

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_frozen", False):
            raise RuntimeError(f"a Konfig cannot be changed: {name}; use replace()")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        values = ", ".join(f"{key}={value!r}" for key, value in self.items())
        return f"{type(self).__module__}.{type(self).__qualname__}({values})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (type(self), list(vars(self).items()))

    def replace(self, **values: Any) -> Any:
        """Return a new object of this class, with other values."""
        return type(self)(**{**self._init_kwargs, **values})

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self, key)
        except AttributeError:  # a Mapping raises KeyError: else get() would fail
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self))

    def __len__(self) -> int:
        return len(vars(self))


def _make(konfig: Any, items: Sequence[tuple[str, Any]]) -> Any:
    return konfig(**dict(items))


def resolve_konfig(
    konfigs: Mapping[str, type],
    name: str | None = None,
    default: str | None = None,
    extra: Mapping[str, Any] | None = None,
    lazy: bool = True,
) -> Any:
    """Return an object of one of the classes.

    :param konfigs: the class of each name.
    :param name: the name; else it is that of ``--config`` or ``bf_env``, or ``default``.
    :param extra: further values for the object.
    :param lazy: create the object on its first use.

    :raises BigflowError: without a name, and for an unknown one; if lazy, on the first use.
    """

    def create() -> Any:
        wanted = name or current_env() or default
        if not wanted:
            raise BigflowError(
                "no configuration given, and no default configuration",
                hint=f"give --config or set bf_env to one of: {', '.join(konfigs)}",
            )
        if wanted not in konfigs:
            raise BigflowError(
                f"unknown configuration {wanted!r}", hint=f"give one of: {', '.join(konfigs)}"
            )
        return konfigs[wanted](**(extra or {}))

    konfigs = dict(konfigs)
    return _Lazy(create) if lazy else create()


class _Lazy(Mapping):  # type: ignore[type-arg]
    """A stand-in that creates its object on the first use."""

    __slots__ = ("_lazy_create", "_lazy_made")

    def __init__(self, create: Callable[[], Any]) -> None:
        object.__setattr__(self, "_lazy_create", create)

    def _lazy_object(self) -> Any:
        try:
            return object.__getattribute__(self, "_lazy_made")
        except AttributeError:
            made = self._lazy_create()
            object.__setattr__(self, "_lazy_made", made)
            return made

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._lazy_object())

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_lazy_") or name in {"__class__", "__reduce_ex__", "__reduce__"}:
            return object.__getattribute__(self, name)
        return getattr(self._lazy_object(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._lazy_object(), name, value)

    def __getitem__(self, key: str) -> Any:
        return self._lazy_object()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lazy_object())

    def __len__(self) -> int:
        return len(self._lazy_object())

    def __eq__(self, other: object) -> bool:
        return bool(self._lazy_object() == other)

    __hash__ = None  # type: ignore[assignment]

    def __dir__(self) -> list[str]:
        return dir(self._lazy_object())

    def __repr__(self) -> str:
        return repr(self._lazy_object())

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        return _itself, (self._lazy_object(),)


def _itself(konfig: Any) -> Any:
    return konfig


class secretstr(str):  # noqa: N801 - the name of BigFlow
    """A text whose ``repr()`` hides it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<secretstr {'*' * len(self)}>"


def fromenv(key: str, default: str | None = None, type: Callable[[str], Any] = secretstr) -> Any:  # noqa: A002
    """Return a value that comes from an environment variable.

    :raises BigflowError: when the object is created, if the variable is not set and ``default`` is
        None.
    """

    def read(_konfig: Any) -> Any:
        text = os.environ.get(key, default)
        if text is None:
            raise BigflowError(
                f"the environment variable {key} is not set",
                hint=f"set it, or give a default: fromenv({key!r}, default=...)",
            )
        return type(text)

    return _Dynamic(read)


def expand(value: str) -> Any:
    """Return a text in which ``{name}`` becomes the value ``name`` of the object.

    ``{{`` and ``}}`` become single braces.
    """

    def text(konfig: Any) -> str:
        def replacement(found: re.Match[str]) -> str:
            name = found[1]
            return str(getattr(konfig, name)) if name else found[0][0]

        return _PLACEHOLDER.sub(replacement, value)

    return _Dynamic(text)


def dynamic(get: Callable[[Any], Any]) -> Any:
    """Return a value that ``get(konfig)`` computes once."""
    return _Dynamic(get)


def dynamic_super(get: Callable[[Any, Any], Any]) -> Any:
    """Return a value that ``get(konfig, value_of_the_parent_class)`` computes once."""

    def compute(konfig: Any) -> Any:
        return get(konfig, getattr(super(made.owner, konfig), made.name, None))

    made = _Dynamic(compute)
    return made


def merge(value: Any) -> Any:
    """Return the value of the parent class with ``value`` over it; dicts merge key by key."""
    return dynamic_super(lambda _konfig, parent: _merged(parent, value))


def _merged(low: Any, high: Any) -> Any:
    if low is None or high is None:
        return low if high is None else high
    if isinstance(low, Mapping) and isinstance(high, Mapping):
        return {key: _merged(low.get(key), high.get(key)) for key in {**low, **high}}
    return high(low) if callable(high) else high
