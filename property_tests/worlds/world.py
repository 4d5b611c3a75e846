"""Small worlds: a few requests and very little room, so that everything can be tried.

A world fixes what each tenant will ask, in order, and how much room there is. What it
leaves open is the order of the calls, and that is what ``explorer`` enumerates.
"""

import attrs

from fairq import Admission, Capacity, Fcfs, Kernel, Policy, Request, RequestId, Vtc
from fairq.kernel._admission import Optimistic

TENANTS = "abc"
PRICES = (1, 2)
"""Of a prompt and of an output token, in service units; the defaults of fairq."""

# --- what can be done ---------------------------------------------------------------
# Written as in the transcripts of tests/scenarios.


@attrs.frozen
class Submit:
    """The next request of a tenant."""

    request: Request

    def __str__(self) -> str:
        asked = self.request
        sizes = f"prompt={len(asked.prompt)} max_tokens={asked.max_tokens}"
        return f"submit tenant={asked.tenant} {sizes}"


@attrs.frozen
class Cancel:
    """End a live request."""

    request_id: RequestId

    def __str__(self) -> str:
        return f"cancel id={self.request_id}"


@attrs.frozen
class Plan:
    """Ask for a plan; only when none is outstanding."""

    def __str__(self) -> str:
        return "plan"


@attrs.frozen
class Commit:
    """Answer the outstanding plan; some of its tokens are the last of their request."""

    stopped: tuple[RequestId, ...] = ()

    def __str__(self) -> str:
        return f"commit stop={','.join(map(str, self.stopped))}".removesuffix(" stop=")


@attrs.frozen
class Fail:
    """Report the outstanding plan as failed."""

    def __str__(self) -> str:
        return "fail"


Move = Submit | Cancel | Plan | Commit | Fail

# --- where it is done ---------------------------------------------------------------

Asks = tuple[tuple[int, int], ...]


@attrs.frozen(kw_only=True)
class SmallWorld:
    """Who will ask what, how much room there is, and how often things go wrong."""

    asks: tuple[Asks, ...]
    """For each tenant its requests in order: length of the prompt, ``max_tokens``."""
    blocks: int
    block_size: int = 1
    sequences: int = 2
    tokens: int = 4
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    slack: float | None = 0.0
    """None for first come, first served."""
    admission: Admission = Admission.OPTIMISTIC
    margin: int | None = None
    """What the optimistic rule starts with; 0 as if many requests had ended, so that
    it admits too much and preempts."""
    cancels: int = 9
    """Most requests that are cancelled on one path; 9 is all there are."""
    failures: int = 0
    """Most steps that fail on one path."""
    max_failures: int = 0
    stops: bool = True
    """Whether a token may be the last before ``max_tokens``."""

    @property
    def capacity(self) -> Capacity:
        return Capacity(
            blocks=self.blocks,
            block_size=self.block_size,
            max_sequences=self.sequences,
            tokens_per_step=self.tokens,
        )

    @property
    def slots(self) -> int:
        """Most members of the batch: each computes a position per step."""
        return min(self.sequences, self.tokens)

    @property
    def policy(self) -> Policy:
        return Policy(
            weights=dict(zip(TENANTS, self.weights, strict=True)),
            discipline=Fcfs() if self.slack is None else Vtc(slack=self.slack),
            admission=self.admission,
            max_failures=self.max_failures,
        )

    def kernel(self) -> Kernel:
        """A fresh one."""
        kernel = Kernel(self.capacity, self.policy)
        rule = kernel._life.rule
        if self.margin is not None and isinstance(rule, Optimistic):
            rule._margin = self.margin
        return kernel

    def requests(self) -> list[list[Request]]:
        """What each tenant will ask; ``sampling`` numbers the requests of the world."""
        requests: list[list[Request]] = []
        number = 0
        for name, asks in zip(TENANTS, self.asks, strict=False):
            requests.append([])
            for prompt, outputs in asks:
                ids = range(10 * number, 10 * number + prompt)
                requests[-1].append(
                    Request(
                        tenant=name, prompt=ids, max_tokens=outputs, sampling=number
                    )
                )
                number += 1
        return requests

    def __str__(self) -> str:
        """The kernel, as a transcript makes it."""
        pairs = zip(TENANTS, self.weights, strict=True)
        order = "policy=fcfs" if self.slack is None else f"slack={self.slack:g}"
        margin = "" if self.margin is None else f" margin={self.margin}"
        return (
            f"kernel blocks={self.blocks} block_size={self.block_size} "
            f"sequences={self.sequences} tokens={self.tokens} {order} "
            f"admission={self.admission.value} max_failures={self.max_failures} "
            f"weights={','.join(f'{name}:{weight:g}' for name, weight in pairs)}"
            f"{margin}"
        )

    def title(self) -> str:
        """What is asked (prompt+outputs), how much room there is, what goes wrong."""
        asks = ", ".join(
            name + "".join(f" {prompt}+{outputs}" for prompt, outputs in asks)
            for name, asks in zip(TENANTS, self.asks, strict=False)
        )
        order = "fcfs" if self.slack is None else f"slack {self.slack:g}"
        weights = ":".join(f"{each:g}" for each in self.weights[: len(self.asks)])
        return (
            f"{asks}; {self.blocks} blocks of {self.block_size}, {self.sequences} "
            f"sequences, {self.tokens} tokens; {order}, weights {weights}, "
            f"{self.admission.value}; up to {self.cancels} cancelled, {self.failures} "
            f"steps failed"
        )
