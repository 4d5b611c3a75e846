"""What a request asks of its sampling: ``Request.sampling``, read and checked."""

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import attrs

from fairq import BackendError, RequestId, StepId, UsageError

MOST_STOP_IDS: Final = 32
"""Stop tokens of one request: their table on the device has a fixed width."""

LARGEST_TOKEN: Final = 2**31 - 1
LARGEST_SEED: Final = 2**63 - 1
LARGEST_COUNT: Final = 2**31 - 1
"""Of top_k and output_tokens: more than any vocabulary or text."""


def _frozen(ids: Any) -> Any:  # noqa: ANN401  # comes before the check
    """A list as a tuple; the check after this refuses what is neither."""
    return tuple(ids) if isinstance(ids, list) else ids


@attrs.frozen(kw_only=True)
class SamplingParams:
    """How the tokens of one sequence are chosen, and when it ends by itself.

    The defaults are greedy decoding up to an end token of the model.

    Raises:
        UsageError: a field is out of its bounds; the message names it.
    """

    temperature: float = 0.0
    """Logits are divided by it; finite, >= 0. 0, or what fp32 takes for 0, is greedy:
    the most likely token, and nothing below has a say."""

    top_k: int = 0
    """Draw among the k most likely tokens, 0..2**31-1; 0 for all of them."""

    top_p: float = 1.0
    """Draw among the most likely tokens that together have this probability (of what
    ``top_k`` leaves), 0..1; at least one token. 1.0 for all of them."""

    seed: int = 0
    """Decides the draws, with the position and nothing else; 0..2**63-1."""

    stop: tuple[int, ...] = attrs.field(default=(), converter=_frozen)
    """Token ids that end the sequence beside the model's own; at most 32."""

    ignore_eos: bool = False
    """Whether the end tokens of the model do not end the sequence; ``stop`` still
    does."""

    output_tokens: int | None = None
    """The sequence ends by itself with its n-th output token, n >= 1, and the end
    tokens of the model do not end it. None for no such end."""

    def __attrs_post_init__(self) -> None:
        for name, (expected, fits) in FIELDS.items():
            value = getattr(self, name)
            if not fits(value):
                msg = f"SamplingParams.{name} must be {expected}; got {value!r}."
                raise UsageError(msg)

    @property
    def heeds_eos(self) -> bool:
        """Whether an end token of the model ends the sequence."""
        return not self.ignore_eos and self.output_tokens is None

    @classmethod
    def parse(
        cls,
        sampling: object,
        *,
        request_id: RequestId,
        backend: str = "torch",
        step_id: StepId | None = None,
    ) -> Self:
        """Read ``Request.sampling``: None, a mapping with these fields, or an instance.

        Args:
            sampling: What the caller gave; it is only read.
            request_id: Whose; for the message.
            backend: Who reads it; for ``BackendError.backend``.
            step_id: For ``BackendError.step_id``.

        Raises:
            BackendError: it is something else, has an unknown key, or a value out of
                its bounds; the message names the request and the key.
        """
        try:
            return cls.read(sampling)
        except UsageError as error:
            msg = f"Request {request_id}: {error}"
            raise BackendError(msg, backend=backend, step_id=step_id) from None

    @classmethod
    def read(cls, sampling: object) -> Self:
        """As ``parse``, where no step is involved.

        Raises:
            UsageError: as ``parse``; the message names the key.
        """
        if isinstance(sampling, cls):
            return sampling
        given = {} if sampling is None else sampling
        if isinstance(given, Mapping):
            problem = _problem(given)
            if problem is None:
                return cls(**given)
        else:
            got = f"{type(sampling).__name__} {sampling!r}"
            problem = f"sampling must be None, a mapping or SamplingParams; got {got}."
        raise UsageError(problem)


# --- checks ---------------------------------------------------------------------------


def _problem(sampling: Mapping[Any, object]) -> str | None:
    """What is wrong with a mapping; None when nothing is."""
    for key, value in sampling.items():
        if key not in FIELDS:
            known = f"Known keys: {', '.join(FIELDS)}."
            return f"sampling has the unknown key {key!r}. {known}{_hint(key)}"
        expected, fits = FIELDS[key]
        if not fits(value):
            return f"sampling[{key!r}] must be {expected}; got {value!r}."
    return None


def _hint(key: object) -> str:
    matches = difflib.get_close_matches(str(key), list(FIELDS), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def _is_number(value: object, most: float) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value) and 0 <= value <= most
    except OverflowError:  # an integer beyond every float
        return False


def _is_integer(value: object, least: int, most: int) -> bool:
    # True and False are integers to Python, but nobody means a number by them.
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and least <= value <= most  # type: ignore[operator]  # whole says so


def _is_stop(value: object) -> bool:
    if not isinstance(value, tuple | list) or len(value) > MOST_STOP_IDS:
        return False
    return all(_is_integer(each, 0, LARGEST_TOKEN) for each in value)


FIELDS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "temperature": (
        "a finite number >= 0",
        lambda value: _is_number(value, math.inf),
    ),
    "top_k": (
        "an integer in 0..2**31-1 (0 for off)",
        lambda value: _is_integer(value, 0, LARGEST_COUNT),
    ),
    "top_p": (
        "a number in 0..1 (1.0 for off)",
        lambda value: _is_number(value, 1),
    ),
    "seed": (
        "an integer in 0..2**63-1",
        lambda value: _is_integer(value, 0, LARGEST_SEED),
    ),
    "stop": (
        f"a tuple or list of at most {MOST_STOP_IDS} token ids, each in 0..2**31-1",
        _is_stop,
    ),
    "ignore_eos": (
        "True or False",
        lambda value: isinstance(value, bool),
    ),
    "output_tokens": (
        "None or an integer in 1..2**31-1",
        lambda value: value is None or _is_integer(value, 1, LARGEST_COUNT),
    ),
}
"""By field: what is expected, in words, and whether a value is that."""
