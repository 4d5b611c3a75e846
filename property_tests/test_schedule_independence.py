"""What a request gets does not depend on what happens around it.

The simulated backend checks each plan against the step protocol, strictly, and its
tokens are a function of the prompt and the position alone. So whatever is batched,
preempted, cancelled or failed around a request, its tokens are those of its solo run.
"""

import attrs
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from fairq import (
    Admission,
    Events,
    FinishReason,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepPlan,
    TokenIds,
)
from fairq.kernel._sequence import Sequence
from fairq_backends.simulated import ProtocolViolation, SimulatedBackend, SimulatedFault
from property_tests.effort import part
from property_tests.programs import PATIENT, TENANTS, WEIGHTS, disciplines, mislead


@attrs.frozen
class Ask:
    """A request, after so many steps, and perhaps given up after some more."""

    after: int
    tenant: str
    prompt: tuple[int, ...]
    max_tokens: int
    stops_at: int | None
    cancelled_after: int | None

    def request(self) -> Request:
        sampling = None if self.stops_at is None else {"output_tokens": self.stops_at}
        return Request(
            tenant=self.tenant,
            prompt=self.prompt,
            max_tokens=self.max_tokens,
            sampling=sampling,
        )


asks = st.builds(
    Ask,
    after=st.sampled_from([0, 0, 0, 1, 3]),
    tenant=st.sampled_from(TENANTS),
    prompt=st.lists(st.integers(0, 9), min_size=1, max_size=8).map(tuple),
    max_tokens=st.sampled_from([1, 3, 10, 14, 14]),
    stops_at=st.one_of(st.none(), st.none(), st.integers(1, 14)),
    cancelled_after=st.one_of(st.none(), st.none(), st.integers(0, 12)),
)
backends = st.builds(
    SimulatedBackend,
    block_size=st.sampled_from([1, 2, 4]),
    kv_tokens=st.integers(24, 28),
    max_sequences=st.sampled_from([1, 4, 6]),
    tokens_per_step=st.sampled_from([3, 8, 64]),
    strict=st.just(True),  # noqa: FBT003  # the value of an option
    seed=st.integers(0, 99),
    fault_rate=st.sampled_from([0.0, 0.0, 0.3]),
)
policies = st.builds(
    Policy,
    weights=st.just(WEIGHTS),
    discipline=disciplines,
    admission=st.sampled_from([*Admission, Admission.OPTIMISTIC]),
    max_failures=st.sampled_from([0, 2, PATIENT]),
)


class Show:
    """Requests driven to their ends on a backend, with what each of them got."""

    def __init__(self, backend: SimulatedBackend, policy: Policy) -> None:
        self.backend = backend
        self.kernel = Kernel(backend.capacity, policy)
        self.tokens: dict[RequestId, list[int]] = {}
        self.ends: dict[RequestId, FinishReason] = {}
        self.cancels: dict[int, list[RequestId]] = {}
        self.steps = 0

    def submit(self, ask: Ask) -> None:
        id_ = self.kernel.submit(ask.request())
        self.tokens[id_] = []
        if ask.cancelled_after is not None:
            self.cancels.setdefault(self.steps + ask.cancelled_after, []).append(id_)

    def step(self) -> bool:
        plan = self.kernel.plan()
        if not isinstance(plan, StepPlan):
            return False
        for id_ in self.cancels.pop(self.steps, ()):
            self.take(self.kernel.cancel(id_))
        self.steps += 1
        try:
            result = self.backend.step(plan)
        except SimulatedFault:
            self.take(self.kernel.fail(plan.step_id))
        else:
            self.take(self.kernel.commit(result))
        return True

    def take(self, events: Events) -> None:
        for id_, token in events.tokens.items():
            # Who was cancelled while the step ran may still be in it.
            if id_ not in self.ends:
                self.tokens[id_].append(token)
        for finished in events.finished:
            assert finished.request_id not in self.ends
            self.ends[finished.request_id] = finished.reason
            assert finished.output_tokens == len(self.tokens[finished.request_id])

    def play(self, workload: list[Ask]) -> None:
        for ask in workload:
            for _ in range(ask.after):
                self.step()
            self.submit(ask)
        while self.step():
            pass
        self.kernel.check()


def solo(ask: Ask) -> tuple[list[int], FinishReason]:
    """The tokens of a request that has a machine for itself, and its end."""
    show = Show(SimulatedBackend(strict=True), Policy())
    show.play([attrs.evolve(ask, after=0, cancelled_after=None)])
    (tokens,), (reason,) = show.tokens.values(), show.ends.values()
    return tokens, reason


def check(show: Show, workload: list[Ask]) -> None:
    assert list(range(len(workload))) == sorted(show.ends)
    for id_, ask in enumerate(workload):
        expected, reason = solo(ask)
        got, end = show.tokens[RequestId(id_)], show.ends[RequestId(id_)]
        if end in (FinishReason.CANCELLED, FinishReason.FAILED):
            assert expected[: len(got)] == got
        else:
            assert (expected, reason) == (got, end)


@part(2)
@given(
    workload=st.lists(asks, min_size=3, max_size=12),
    backend=backends,
    policy=policies,
    misled=st.booleans(),
)
def test_a_request_gets_what_it_would_get_alone(
    workload: list[Ask], backend: SimulatedBackend, policy: Policy, *, misled: bool
) -> None:
    show = Show(backend, policy)
    if misled:
        mislead(show.kernel)

    show.play(workload)

    check(show, workload)
    preempted = min(show.kernel.snapshot().preemptions, 3)
    event(f"preemptions {preempted}, misled {misled}")


# --- planted bugs: what the oracle is worth -----------------------------------------

TIGHT = [Ask(0, "a", (number, 1), 12, None, None) for number in range(4)]


def tight() -> Show:
    """Four requests where two fit, so that some are preempted."""
    backend = SimulatedBackend(block_size=2, kv_tokens=26, strict=True)
    show = Show(backend, Policy())
    mislead(show.kernel)
    return show


def test_the_tight_workload_preempts() -> None:
    show = tight()

    show.play(TIGHT)

    check(show, TIGHT)
    assert show.kernel.snapshot().preemptions > 0


def test_a_kernel_that_mixes_up_outputs_at_a_preemption_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def tokens(self: Sequence) -> TokenIds:
        return TokenIds([*self.request.prompt, *reversed(self.outputs)])

    monkeypatch.setattr(Sequence, "tokens", tokens)
    show = tight()

    said = r"re-enters with a token|hold other tokens"
    with pytest.raises(ProtocolViolation, match=said):
        show.play(TIGHT)


def test_a_kernel_that_starts_again_after_a_preemption_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def tokens(self: Sequence) -> TokenIds:
        del self.outputs[:]
        return self.request.prompt

    monkeypatch.setattr(Sequence, "tokens", tokens)
    show = tight()

    with pytest.raises((ProtocolViolation, AssertionError)):
        show.play(TIGHT)
