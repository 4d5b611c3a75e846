"""Every backend and every discipline that fairq ships keeps its obligations.

The lists are read from the package: what is added is checked without a line here.
"""

from collections.abc import Callable

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


PROVOKE: dict[str, Callable[[Backend], object]] = {"simulated": strike_once}
"""How each of them is made to fail once."""


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_backend_keeps_the_step_protocol(name: str) -> None:
    report = check_backend(lambda: load_backend(name), provoke=PROVOKE[name])

    assert () == report.not_checked
    assert report.preemptions > 0


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
    kind: Callable[[], Discipline] = getattr(disciplines, name)

    assert () == check_discipline(kind).not_checked


def test_the_lists_are_not_empty() -> None:
    assert "simulated" in SHIPPED
    assert {"Vtc", "Fcfs"} <= {*DISCIPLINES}
