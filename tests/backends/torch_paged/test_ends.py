"""Where a text ends, and what is kept of it."""

from fairq import (
    RequestId,
)
from fairq_backends.sampling import SamplingParams
from tests.backends._plans import chunk, enter, plan
from tests.backends.reference._models import tiny_model
from tests.backends.torch_paged._stage import (
    MODEL,
    PROMPT,
    entry,
    first,
    small,
)


def test_a_text_ends_where_the_context_does() -> None:
    backend = small(tiny_model(context_length=13))
    result, _ = first(backend, entry(0, PROMPT, (0, 1, 2)))
    assert () == result.stopped

    assert (0,) == backend.step(plan(1, grow=[(0, 3)], decodes=[0])).stopped


def test_a_text_ends_with_the_tokens_that_were_asked_for() -> None:
    said = first(small())[0].tokens[RequestId(0)]

    for sampling in ({"stop": [said]}, SamplingParams(output_tokens=1)):
        assert (0,) == first(small(), entry(0, sampling=sampling))[0].stopped
    ends = tiny_model(eos=(said,))
    assert (0,) == first(small(ends))[0].stopped
    ignores = entry(0, sampling={"ignore_eos": True})
    assert () == first(small(ends), ignores)[0].stopped


def test_logits_are_kept_only_if_asked_for() -> None:
    backend = small(keep_logits=False)
    backend.step(plan(0, enter=[enter(0, PROMPT, range(3))], chunks=[chunk(0, 0, 11)]))

    assert {} == backend.logits
    assert MODEL.config.vocab_size == len(first(small())[1])
