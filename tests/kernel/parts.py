"""Parts of a kernel, made for tests that look at one part alone."""

import attrs

from fairq import Policy, RequestId
from fairq.kernel._batch import Batch
from fairq.kernel._clock import StepClock
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from fairq.kernel._tables import Grant
from fairq.kernel._tenant import Tenant
from tests.kernel.driving import capacity, prompt, request


def tenant(name: str = "a", clock: StepClock | None = None) -> Tenant:
    """A tenant with easy prices: 10 for a prompt token, 100 for an output, 1 cached."""
    return Tenant(
        name=name,
        weight=1.0,
        prompt_price=10,
        output_price=100,
        cached_price=1,
        clock=StepClock() if clock is None else clock,
    )


def sequence(
    number: int, owner: Tenant, length: int = 4, max_tokens: int = 4
) -> Sequence:
    return Sequence(
        id=RequestId(number),
        request=request(owner.name, length, max_tokens),
        tenant=owner,
        submitted_ns=0,
        prompt_length=length,
    )


def decoding(batch: Batch, new: Sequence, token: int = 0) -> Sequence:
    """Let a sequence in and through its prompt, in no time."""
    batch.enter(new, batch.take_slot())
    new.computed = new.known
    batch.begin_decoding(new, token)
    return new


def counters(policy: Policy | None = None) -> VirtualCounters:
    return VirtualCounters(Policy() if policy is None else policy, StepClock())


def lifecycle(policy: Policy | None = None, blocks: int = 64) -> Lifecycle:
    return Lifecycle(
        capacity(blocks=blocks), Policy() if policy is None else policy, slots=8
    )


def arrive(
    life: Lifecycle, number: int, name: str = "a", length: int = 4, first: int = 1
) -> Sequence:
    new = sequence(number, life.counters.tenant(name), length)
    new.request = attrs.evolve(new.request, prompt=prompt(length, first))
    life.arrive(new)
    return new


def admit(life: Lifecycle, waiting: Sequence) -> Sequence:
    """As an applied draft would: blocks for the prompt and one token."""
    blocks = life.ledger.blocks_for(waiting.known + 1)
    life.admit(waiting, life.batch.take_slot(), grant(life, waiting, blocks))
    return waiting


def grant(life: Lifecycle, waiting: Sequence, blocks: int = 2) -> Grant:
    """A table of so many blocks, with what is found in the cache at its beginning."""
    return life.tables.grant(waiting, life.tables.find(waiting), blocks)
