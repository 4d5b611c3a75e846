"""Sequences outside of a kernel, for tests of its parts."""

from fairq import Request, RequestId
from fairq.cost import price
from fairq.kernel._clock import StepClock
from fairq.kernel._sequence import Sequence
from fairq.kernel._tenant import Tenant


def make_tenant(clock: StepClock, name: str = "a") -> Tenant:
    return Tenant(
        name=name,
        weight=1.0,
        prompt_price=price(1.0, 1.0),
        output_price=price(2.0, 1.0),
        cached_price=price(0.0, 1.0),
        clock=clock,
    )


def make_sequence(id_: int, tenant: Tenant, prompt: int, max_tokens: int) -> Sequence:
    request = Request(tenant=tenant.name, prompt=range(prompt), max_tokens=max_tokens)
    return Sequence(RequestId(id_), request, tenant, 0, prompt)
