"""SmolLM2 says what it should, in both modes; exact mode to the bit."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fairq import Idle, Kernel, Policy, Request, RequestId
from fairq_backends.llama import Model
from fairq_backends.torch_paged import TorchPagedBackend

SURE = 0.6
"""A margin of two logits that bfloat16 does not turn round: its own error of about 0.3
in each."""


class Served:
    """What came of some requests: tokens and logits by request, in their order."""

    def __init__(
        self,
        backend: TorchPagedBackend,
        prompts: list[list[int]],
        count: int,
        policy: Policy | None = None,
    ) -> None:
        self.backend = backend
        self.kernel = Kernel(backend.capacity, Policy() if policy is None else policy)
        self.tokens: dict[RequestId, list[int]] = {}
        self.logits: dict[RequestId, list[Tensor]] = {}
        # Ends at once, so that the kernel expects the same of others, and admits them.
        self._serve([[504]], 1)
        self.tokens, self.logits = {}, {}
        self._serve(prompts, count)
        self.preemptions = self.kernel.snapshot().preemptions

    def _serve(self, prompts: list[list[int]], count: int) -> None:
        for prompt in prompts:
            asked = Request(tenant="t", prompt=prompt, max_tokens=count)
            name = self.kernel.submit(asked)
            self.tokens[name], self.logits[name] = [], []
        while not isinstance(plan := self.kernel.plan(), Idle):
            events = self.kernel.commit(self.backend.step(plan))
            for name, token in events.tokens.items():
                self.tokens[name].append(token)
                self.logits[name].append(self.backend.logits[name])

    def same(self, other: "Served") -> bool:
        """Whether all logits are the same to the bit."""
        return all(
            len(mine) == len(theirs) and all(map(torch.equal, mine, theirs))
            for mine, theirs in zip(
                self.logits.values(), other.logits.values(), strict=True
            )
        )


def executor(model: Model, **options: Any) -> TorchPagedBackend:  # noqa: ANN401  # options of all types
    sizes: dict[str, Any] = {"blocks": 64, "max_sequences": 8, "tokens_per_step": 512}
    return TorchPagedBackend(
        model=model, device="cpu", keep_logits=True, **{**sizes, **options}
    )


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_all_golden_prompts_together_get_their_golden_answers(
    smollm2: Model, golden: dict[str, Any], mode: str
) -> None:
    cases = golden["prompts"]
    longest = max(len(case["generated_ids"]) for case in cases)
    served = Served(
        executor(smollm2, mode=mode), [case["prompt_ids"] for case in cases], longest
    )

    for case, tokens, logits in zip(
        cases, served.tokens.values(), served.logits.values(), strict=True
    ):
        assert case["generated_ids"] == tokens[: len(case["generated_ids"])]
        best = logits[0].topk(5)
        assert [each["id"] for each in case["first_step_top5"]] == best.indices.tolist()
        expected = [each["logit"] for each in case["first_step_top5"]]
        assert expected == pytest.approx(best.values.tolist(), abs=1e-3)
    assert 3 <= len(cases)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_bfloat16_gives_the_golden_answers_where_they_are_clear(
    smollm2: Model, golden: dict[str, Any], mode: str
) -> None:
    cases = golden["prompts"]
    backend = executor(smollm2, mode=mode, dtype="bfloat16")
    served = Served(backend, [case["prompt_ids"] for case in cases], 12)

    compared = 0
    for case, tokens, logits in zip(
        cases, served.tokens.values(), served.logits.values(), strict=True
    ):
        for each in case["first_step_top5"]:
            assert each["logit"] == pytest.approx(float(logits[0][each["id"]]), abs=0.5)
        # From the first close call on the text may be another one.
        margins = case["step_margin_top1_top2"][:12]
        clear = next((i for i, it in enumerate(margins) if it < SURE), len(margins))
        assert case["generated_ids"][:clear] == tokens[:clear]
        compared += clear
    assert 10 <= compared


# --- to the bit -----------------------------------------------------------------------

SCHEDULES: dict[str, dict[str, Any]] = {
    "chunks of 5": {"tokens_per_step": 5},
    "chunks of 32": {"tokens_per_step": 32},
    "together": {},
    "pages of 64": {"block_size": 64, "blocks": 16},
}


def three(golden: dict[str, Any]) -> list[list[int]]:
    return [case["prompt_ids"] for case in golden["prompts"][:3]]


def alone(model: Model, prompts: list[list[int]], **options: Any) -> Served:  # noqa: ANN401  # as above
    """One after another, every prompt in one chunk."""
    return Served(executor(model, **options), prompts, 6, Policy(max_sequences=1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_schedule_changes_the_bits_of_a_real_model(
    smollm2: Model, golden: dict[str, Any], dtype: str
) -> None:
    prompts = three(golden)
    expected = alone(smollm2, prompts, dtype=dtype)

    for name, options in SCHEDULES.items():
        served = Served(executor(smollm2, dtype=dtype, **options), prompts, 6)
        assert expected.same(served), name
    backwards = Served(executor(smollm2, dtype=dtype), prompts[::-1], 6)
    backwards.logits = dict(reversed(backwards.logits.items()))
    assert expected.same(backwards)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_preemption_changes_the_bits_of_a_real_model(
    smollm2: Model, golden: dict[str, Any], dtype: str
) -> None:
    prompts = three(golden)
    # Everybody gets in, and there are too few blocks for all to grow.
    blocks = sum(-(-(len(prompt) + 2) // 2) for prompt in prompts)
    expected = alone(smollm2, prompts, dtype=dtype)

    backend = executor(smollm2, dtype=dtype, block_size=2, blocks=blocks)
    served = Served(backend, prompts, 6)

    assert 0 < served.preemptions
    assert expected.same(served)


def test_fast_mode_has_other_bits_in_a_batch(
    smollm2: Model, golden: dict[str, Any]
) -> None:
    prompts = three(golden)
    expected = alone(smollm2, prompts, mode="fast")

    assert not expected.same(Served(executor(smollm2, mode="fast"), prompts, 6))
