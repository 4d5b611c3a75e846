"""How a step of the simulated backend can fail."""

from typing import Final

from fairq import BackendError

NAME: Final = "simulated"
"""The name under which the backend is installed."""


class ProtocolViolation(BackendError):
    """A plan broke the step protocol; the backend is as before it.

    Attributes:
        step_id: The plan.
    """

    def __init__(self, message: str, *, step_id: int | None) -> None:
        super().__init__(message, backend=NAME, step_id=step_id)


class SimulatedFault(RuntimeError):
    """A fault that was asked for with ``fault_rate``; the backend is as before."""
