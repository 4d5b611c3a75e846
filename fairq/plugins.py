"""Finds backends by name, through the entry points of installed distributions.

A distribution offers a backend with one line in its ``pyproject.toml``::

    [project.entry-points."fairq.backends"]
    mine = "my_package:MyBackend"

What stands behind the name is called with the options of the user and returns the
backend; a class is the usual choice. Nothing is imported before it is asked for.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

import attrs

from fairq._closest import did_you_mean
from fairq.backend import Backend, Capacity
from fairq.errors import BackendError, UsageError

__all__ = ["GROUP", "BackendInfo", "list_backends", "load_backend"]

GROUP: Final = "fairq.backends"
"""The entry-point group in which backends are looked up."""

EXTRA: Final = re.compile(r"extra\s*==\s*[\"']([^\"']+)[\"']")
"""The extra in a requirement such as ``torch>=2; extra == "torch"``."""


@attrs.frozen
class BackendInfo:
    """One installed backend: what it can hold, or why it cannot be used."""

    name: str
    """What ``load_backend`` takes."""

    distribution: str
    """The distribution that offers it, as ``pip`` knows it."""

    capacity: Capacity | None
    """With default options; None when it cannot be loaded."""

    problem: str | None
    """Why it cannot be loaded; None when it can."""


def load_backend(name: str, /, **options: object) -> Backend:
    """Make the backend of that name.

    Costs a scan of the installed distributions, the import and whatever the backend
    does when it is made. Errors that the backend raises itself pass unchanged.

    Args:
        name: As its distribution offers it; ``fairq backends`` lists the names.
        options: Handed on; what is allowed is up to the backend.

    Returns:
        A backend of its own, which the caller closes.

    Raises:
        UsageError: nobody, or more than one distribution, offers the name; or the
            backend does not take an option, or needs one that is missing.
        BackendError: it cannot be imported, or is not a backend.
    """
    return _make(_find(name), options)


def list_backends() -> tuple[BackendInfo, ...]:
    """Every installed backend, by name, then by distribution.

    Each is made with default options to learn its capacity, and closed again. One that
    cannot be is listed with its problem; none makes this raise.
    """
    entries = _installed()
    names = [entry.name for entry in entries]
    return tuple(_info(entry, shared=names.count(entry.name) > 1) for entry in entries)


def _installed() -> list[EntryPoint]:
    # Which distribution is scanned first depends on sys.path; this order does not.
    found = entry_points(group=GROUP)
    return sorted(found, key=lambda entry: (entry.name, _distribution(entry)))


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown distribution"


def _find(name: str) -> EntryPoint:
    entries = _installed()
    matches = [entry for entry in entries if entry.name == name]
    if not matches:
        known = dict.fromkeys(entry.name for entry in entries)
        msg = f"No backend is called {name!r}. {_known(name, known, 'Installed')}"
        raise UsageError(msg)
    if len(matches) > 1:
        raise UsageError(_shared(matches))
    return matches[0]


def _known(name: str, known: Iterable[str], label: str) -> str:
    names = list(known)
    hint = "" if name in names else did_you_mean(name, names)
    return f"{label}: {', '.join(names) or 'none'}.{hint}"


def _shared(matches: list[EntryPoint]) -> str:
    owners = " and ".join(_distribution(entry) for entry in matches)
    return (
        f"The backend name {matches[0].name!r} must be offered by one distribution; "
        f"got {owners}. Uninstall all but one."
    )


def _make(entry: EntryPoint, options: dict[str, object]) -> Backend:
    factory = _import(entry)
    _check_options(entry, factory, options)
    return _check_shape(entry, factory(**options))


def _import(entry: EntryPoint) -> Callable[..., object]:
    try:
        factory = entry.load()
    except Exception as error:  # a plugin may fail in any way while it is imported
        cause = f"{type(error).__name__}: {error}"
        hint = _hint(entry, error)
        msg = f"{_title(entry)} ({entry.value}) failed to import: {cause}.{hint}"
        raise BackendError(msg, backend=entry.name) from error
    if not callable(factory):
        msg = (
            f"{_title(entry)} must name something callable that returns a backend; "
            f"got {entry.value} = {factory!r}."
        )
        raise BackendError(msg, backend=entry.name)
    return cast("Callable[..., object]", factory)


def _title(entry: EntryPoint) -> str:
    return f"Backend {entry.name!r} of distribution {_distribution(entry)}"


def _hint(entry: EntryPoint, error: Exception) -> str:
    """What to install, when the distribution tells."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    extra = _extra_with(entry, error.name.partition(".")[0])
    if extra is None:
        return f" Install what provides the module {error.name!r}."
    return f" Install it with: pip install '{_distribution(entry)}[{extra}]'"


def _extra_with(entry: EntryPoint, module: str) -> str | None:
    """The extra that brings a module, if it is named like its distribution."""
    requirements = (entry.dist.requires if entry.dist else None) or []
    starts = re.compile(rf"{re.escape(module)}(?![\w.-])", re.IGNORECASE)
    brings = [EXTRA.search(each) for each in requirements if starts.match(each)]
    extras = [match[1] for match in brings if match]
    return extras[0] if extras else None


def _check_options(
    entry: EntryPoint, factory: Callable[..., object], options: dict[str, object]
) -> None:
    """Refuse options by the signature: calling to find out would mask its errors."""
    parameters = _parameters(factory)
    if parameters is None:
        return
    takes = _named(parameters)
    if not any(each.kind is each.VAR_KEYWORD for each in parameters):
        for option in options:
            if option not in takes:
                _refuse(entry, f"has no option {option!r}.", takes, option)
    for option, parameter in takes.items():
        if parameter.default is parameter.empty and option not in options:
            _refuse(entry, f"needs the option {option!r}.", takes, option)


def _parameters(factory: Callable[..., object]) -> list[inspect.Parameter] | None:
    """The parameters, or None for a callable written in C that does not tell."""
    try:
        return list(inspect.signature(factory).parameters.values())
    except ValueError:
        return None


def _named(parameters: list[inspect.Parameter]) -> dict[str, inspect.Parameter]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {each.name: each for each in parameters if each.kind in named}


def _refuse(
    entry: EntryPoint, what: str, takes: dict[str, inspect.Parameter], option: str
) -> None:
    msg = f"{_title(entry)} {what} {_known(option, takes, 'It takes')}"
    raise UsageError(msg)


def _check_shape(entry: EntryPoint, backend: object) -> Backend:
    missing = []
    if not isinstance(getattr(backend, "capacity", None), Capacity):
        missing.append("capacity (a fairq.Capacity)")
    missing += [
        f"{method} (a method)"
        for method in ("step", "close")
        if not callable(getattr(backend, method, None))
    ]
    if missing:
        msg = (
            f"{_title(entry)} must return a backend; got {type(backend).__name__} "
            f"without {', '.join(missing)}. Its author must add that."
        )
        raise BackendError(msg, backend=entry.name)
    return cast("Backend", backend)


def _info(entry: EntryPoint, *, shared: bool) -> BackendInfo:
    distribution = _distribution(entry)
    if shared:
        problem = f"more than one distribution offers {entry.name!r}"
        return BackendInfo(entry.name, distribution, None, problem)
    try:
        capacity = _probe(entry)
    except Exception as error:  # noqa: BLE001  # one bad plugin must not hide the rest
        problem = str(error) or type(error).__name__
        return BackendInfo(entry.name, distribution, None, problem)
    return BackendInfo(entry.name, distribution, capacity, None)


def _probe(entry: EntryPoint) -> Capacity:
    backend = _make(entry, {})
    try:
        return backend.capacity
    finally:
        backend.close()
