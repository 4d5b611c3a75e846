"""What a seed decides: which steps fail, and how much their times spread."""

from math import log, sqrt
from random import Random  # noqa: TID251  # seeded below; nothing else draws from it

import attrs

from fairq_backends.simulated._errors import SimulatedFault


@attrs.define(eq=False)
class Weather:
    """Faults and jitter. Each has a stream of its own: one does not shift the other."""

    jitter: float
    fault_rate: float
    _faults: Random
    _times: Random

    @classmethod
    def seeded(cls, seed: int, jitter: float, fault_rate: float) -> "Weather":
        """Weather that is the same for the same seed."""
        # Text seeds are hashed by SHA-512, which no environment variable changes.
        faults = Random(f"faults {seed}")  # noqa: S311  # a simulation, no secret
        times = Random(f"times {seed}")  # noqa: S311  # as above
        return cls(jitter, fault_rate, faults, times)

    def strike(self) -> None:
        """Let a step fail, or not.

        Raises:
            SimulatedFault: with probability ``fault_rate``.
        """
        if self.fault_rate and self._faults.random() < self.fault_rate:
            msg = f"A simulated fault (fault_rate={self.fault_rate})."
            raise SimulatedFault(msg)

    def stretch(self) -> float:
        """A factor for the time of one step: log-normal, mean 1, deviation jitter."""
        if not self.jitter:
            return 1.0
        variance = log(1 + self.jitter**2)
        return self._times.lognormvariate(-variance / 2, sqrt(variance))
