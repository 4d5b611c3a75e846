"""The executors refuse what they can never run, and so does an engine on them."""

import anyio
import pytest

from fairq import (
    Backend,
    BackendError,
    Request,
    RequestRejected,
    UsageError,
    open_engine,
)
from fairq_backends.reference import ReferenceBackend
from tests.backends._plans import enter, plan
from tests.backends.reference._models import tiny_model
from tests.backends.torch_paged._stage import small

MODEL = tiny_model(context_length=64)


def torch() -> Backend:
    return small(MODEL, keep_logits=False)


def reference() -> Backend:
    return ReferenceBackend(MODEL, blocks=24, block_size=4)


BOTH = pytest.mark.parametrize("make", [torch, reference])

BAD: dict[str, tuple[tuple[int, ...], object, type[Exception]]] = {
    "sampling": ((1, 2), {"top_p": 2}, UsageError),
    "token": ((1, 500), None, UsageError),
    "context": ((1,) * 64, None, RequestRejected),
}


@BOTH
@pytest.mark.parametrize(("prompt", "sampling", "error"), BAD.values(), ids=BAD.keys())
async def test_a_bad_request_is_refused_alone(
    make: type[Backend],
    prompt: tuple[int, ...],
    sampling: object,
    error: type[Exception],
) -> None:
    good = Request(
        tenant="good", prompt=[1, 2, 3], max_tokens=12, sampling={"output_tokens": 12}
    )
    bad = Request(tenant="bad", prompt=prompt, max_tokens=3, sampling=sampling)
    with anyio.fail_after(60):
        async with open_engine(make()) as engine:
            async with engine.stream(good) as stream:
                await anext(stream)
                with pytest.raises(error):
                    await engine.complete(bad)
                assert 11 == len([token async for token in stream])
            assert 0 == engine.statistics().failed_steps


@BOTH
@pytest.mark.parametrize(("prompt", "sampling", "error"), BAD.values(), ids=BAD.keys())
def test_a_driver_that_does_not_ask_is_refused_by_the_step(
    make: type[Backend],
    prompt: tuple[int, ...],
    sampling: object,
    error: type[Exception],  # noqa: ARG001  # of the check
) -> None:
    backend = make()
    made = enter(0, prompt, range(-(-len(prompt) // 4)), sampling=sampling)

    with pytest.raises(BackendError, match="Request 0"):
        backend.step(plan(0, enter=[made]))
