"""The simulated backend: checks a plan, applies it, and says how long it took."""

from typing import Final

import attrs

from fairq import Capacity, StepPlan, StepResult, UsageError
from fairq_backends.simulated._batch import Batch
from fairq_backends.simulated._check import PlanCheck
from fairq_backends.simulated._errors import ProtocolViolation
from fairq_backends.simulated._model import StepTimeModel
from fairq_backends.simulated._pool import Pool
from fairq_backends.simulated._presets import find_preset, load_presets
from fairq_backends.simulated._weather import Weather

MOST_JITTER: Final = 10
"""Nothing real spreads further, and the log-normal stays within a float."""


@attrs.define(kw_only=True, eq=False)
class SimulatedBackend:
    """A backend that computes nothing, takes no time, and reports a GPU's.

    ``elapsed_ns`` comes from a model that was fitted to measurements. Tokens are a pure
    function of the prompt and the position. ``Request.sampling`` may be
    ``{"output_tokens": n}``: the sequence stops by itself with its n-th output token.
    Every plan is checked against the step protocol, so it serves as an oracle too.

    A step costs O(changes), and one dict entry for each decode.

    Raises:
        UsageError: an option is out of its bounds, or the GPU is not known.
    """

    gpu: str = "h100-llama3-8b"
    """A preset; ``SimulatedBackend.presets()`` lists them."""

    kv_tokens: int | None = None
    """Size of the KV pool in tokens, >= block_size, rounded down to whole blocks. None
    for what fits on the preset's GPU: 411,987 tokens on the H100."""

    block_size: int = 16
    """Tokens per block, >= 1."""

    max_sequences: int = 256
    """Sequences in the batch at once, >= 1."""

    tokens_per_step: int = 2048
    """Most positions one step computes, >= 1. The models were fitted up to 2,304."""

    seed: int = 0
    """Decides jitter and faults, and nothing else; >= 0."""

    jitter: float = 0.0
    """Relative standard deviation of a step's time, 0..10 (log-normal)."""

    fault_rate: float = 0.0
    """Probability that a step raises ``SimulatedFault``, 0..1. The backend is
    then as before the plan, except that the next draw is another."""

    strict: bool = False
    """Also check what costs time per token: slots of decodes, tokens that re-enter,
    and whether a prefix that is said to be cached is the one its blocks hold."""

    prefix_cache: bool = True
    """Whether tables may share full blocks. Attention reads a cached position like any
    other, but it is not computed again, so a step takes less time."""

    capacity: Capacity = attrs.field(init=False, repr=False)
    """What it can hold."""

    _model: StepTimeModel = attrs.field(init=False, repr=False)
    _batch: Batch = attrs.field(init=False, repr=False)
    _weather: Weather = attrs.field(init=False, repr=False)
    _answered: int = attrs.field(init=False, repr=False, default=-1)
    _closed: bool = attrs.field(init=False, repr=False, default=False)

    def __attrs_post_init__(self) -> None:
        _check_options(self)
        preset = find_preset(self.gpu)
        tokens = preset.kv_tokens if self.kv_tokens is None else self.kv_tokens
        self.capacity = Capacity(
            blocks=tokens // self.block_size,
            block_size=self.block_size,
            max_sequences=self.max_sequences,
            tokens_per_step=self.tokens_per_step,
            prefix_cache=self.prefix_cache,
        )
        self._model = preset.model
        self._batch = self._fresh()
        self._weather = Weather.seeded(self.seed, self.jitter, self.fault_rate)

    @staticmethod
    def presets() -> tuple[str, ...]:
        """What the option ``gpu`` takes, sorted."""
        return tuple(load_presets())

    def step(self, plan: StepPlan) -> StepResult:
        """Execute a plan. If it raises, the backend is as before the plan.

        Raises:
            ProtocolViolation: the plan breaks the step protocol.
            BackendError: the ``sampling`` of a request cannot be understood.
            SimulatedFault: as often as ``fault_rate`` says.
        """
        self._check_turn(plan)
        check = PlanCheck(plan, self._batch, self.capacity, self.strict)
        arrivals = check.run()
        self._weather.strike()
        self._batch.change(plan, arrivals)
        load = self._batch.load(plan)
        tokens, stopped = self._batch.compute(plan.chunks)
        elapsed_ms = self._model.milliseconds(load) * self._weather.stretch()
        self._answered = plan.step_id
        return StepResult(plan.step_id, tokens, stopped, round(elapsed_ms * 1e6))

    def close(self) -> None:
        """Release everything; a step after this is an error."""
        self._batch = self._fresh()
        self._closed = True

    def _fresh(self) -> Batch:
        return Batch(Pool(self.block_size, self.prefix_cache))

    def _check_turn(self, plan: StepPlan) -> None:
        if self._closed:
            msg = f"Plan {plan.step_id} came after close()."
            raise ProtocolViolation(msg, step_id=plan.step_id)
        if plan.step_id <= self._answered:
            expected = f"a step_id above {self._answered}, the last one answered"
            msg = f"Plans need {expected}; got step_id={plan.step_id}."
            raise ProtocolViolation(msg, step_id=plan.step_id)


def _check_options(options: SimulatedBackend) -> None:
    """Check what neither ``Capacity`` nor the presets will."""
    _check_integer("block_size", options.block_size, 1)
    _check_integer("seed", options.seed, 0)
    if options.kv_tokens is not None:
        _check_integer("kv_tokens", options.kv_tokens, options.block_size)
    _check_number("jitter", options.jitter, MOST_JITTER)
    _check_number("fault_rate", options.fault_rate, 1)


def _check_integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        expected = f"an integer >= {least}"
        msg = f"SimulatedBackend.{name} must be {expected}; got {value!r}."
        raise UsageError(msg)


def _check_number(name: str, value: object, most: float) -> None:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not 0 <= value <= most:  # type: ignore[operator]  # real says so
        expected = f"a number in 0..{most:g}"
        msg = f"SimulatedBackend.{name} must be {expected}; got {value!r}."
        raise UsageError(msg)
