"""Every backend and every discipline that fairq ships keeps its obligations.

The lists are read from the package: what is added is checked without a line here.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest

from fairq import Backend, Discipline, disciplines, load_backend
from fairq.plugins import list_backends
from fairq.testing import check_backend, check_discipline
from fairq_backends.simulated import SimulatedBackend, SimulatedFault

SHIPPED = [info.name for info in list_backends() if info.distribution == "fairq"]
DISCIPLINES = [
    name
    for name in disciplines.__all__
    if attrs.has(getattr(disciplines, name))  # and not a protocol
]
ARGUMENTS: dict[str, dict[str, float]] = {"Dlpm": {"quantum": 64.0}}
"""What a discipline cannot be made without."""


@attrs.define
class OneFault:
    """Weather in which the next step fails, and no other."""

    backend: SimulatedBackend
    before: object

    def strike(self) -> None:
        self.backend._weather = self.before  # type: ignore[assignment]  # it was there
        msg = "provoked"
        raise SimulatedFault(msg)


def strike_once(backend: object) -> None:
    assert isinstance(backend, SimulatedBackend)
    backend._weather = OneFault(backend, backend._weather)  # type: ignore[assignment]  # all of it that a failing step asks


def fail_once(backend: object) -> None:
    """The next step raises as late as it can, with everything computed."""
    backend._compute = Once(backend)  # type: ignore[attr-defined]  # of a subclass with a __dict__


@attrs.define
class Once:
    """Stands in the place of ``_compute`` for one call."""

    backend: object

    def __call__(self, *arguments: object) -> object:
        del self.backend._compute  # type: ignore[attr-defined]  # as above
        self.backend._compute(*arguments)  # type: ignore[attr-defined]  # as above
        msg = "provoked"
        raise RuntimeError(msg)


TINY: dict[str, Any] = {
    "blocks": 12,
    "block_size": 4,
    "max_sequences": 4,
    "tokens_per_step": 8,
}


def tiny(kind: type, **options: object) -> Callable[[], Backend]:
    """Makes a backend that needs a model, with a small one and little room."""
    from tests.backends.reference._models import tiny_model

    # A subclass, so that an instance can be made to fail.
    failing: type = type("Failing", (kind,), {})
    model = tiny_model()
    return lambda: failing(model=model, **{**TINY, **options})


# Torch is imported inside: the other tests of this file need none.


def simulated() -> Callable[[], Backend]:
    return lambda: load_backend("simulated")


def reference() -> Callable[[], Backend]:
    from fairq_backends.reference import ReferenceBackend

    return tiny(ReferenceBackend)


def torch(**options: object) -> Callable[[], Backend]:
    from fairq_backends.torch_paged import TorchPagedBackend

    return tiny(TorchPagedBackend, device="cpu", **options)


FACTORIES: dict[str, Callable[[], Callable[[], Backend]]] = {
    "simulated": simulated,
    "reference": reference,
    "torch": torch,
}
"""How each of them is made. A new one without an entry fails the test below."""

PROVOKE: dict[str, Callable[[Backend], object]] = {
    "simulated": strike_once,
    "reference": fail_once,
    "torch": fail_once,
}
"""How each of them is made to fail once."""


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_backend_keeps_the_step_protocol(name: str) -> None:
    # A real model takes longer: fewer generated runs.
    examples = None if name == "simulated" else 10
    report = check_backend(FACTORIES[name](), provoke=PROVOKE[name], examples=examples)

    assert () == report.not_checked
    assert report.preemptions > 0
    assert report.cached_tokens > 0


@pytest.mark.parametrize(
    "options",
    [{"mode": "fast"}, {"block_size": 3}, {"dtype": "bfloat16"}],
    ids=str,
)
def test_the_executor_keeps_it_in_every_mode(options: dict[str, object]) -> None:
    report = check_backend(
        torch(**options), provoke=fail_once, examples=5, loops=["asyncio"]
    )

    assert () == report.not_checked


def test_the_executor_keeps_it_in_debug_mode_without_sharing() -> None:
    report = check_backend(
        torch(debug=True, block_size=3),
        provoke=fail_once,
        examples=5,
        loops=["asyncio"],
    )

    assert ("shared: the capacity is without prefix_cache",) == report.not_checked


@pytest.mark.parametrize("block_size", [1, 3, 16])
def test_the_simulated_backend_keeps_it_at_any_size(block_size: int) -> None:
    report = check_backend(
        lambda: SimulatedBackend(
            kv_tokens=12 * block_size + 8,
            block_size=block_size,
            max_sequences=4,
            tokens_per_step=3 * block_size,
            jitter=0.2,
            strict=True,
        ),
        provoke=strike_once,
        examples=10,
    )

    assert () == report.not_checked


@pytest.mark.parametrize("name", DISCIPLINES)
def test_every_shipped_discipline_keeps_its_obligations(name: str) -> None:
    kind: Callable[..., Discipline] = getattr(disciplines, name)
    make = partial(kind, **ARGUMENTS.get(name, {}))

    assert () == check_discipline(make).not_checked


def test_the_lists_are_not_empty() -> None:
    assert "simulated" in SHIPPED
    assert {"Vtc", "Fcfs", "Lpm", "Dlpm"} <= {*DISCIPLINES}
