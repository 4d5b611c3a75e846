"""The reference backend: every token from the whole text, one text after another."""

import time
from collections.abc import Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor

from fairq import (
    BackendError,
    Capacity,
    Request,
    RequestId,
    StepPlan,
    StepResult,
    UsageError,
)
from fairq_backends.llama import LlamaWeights, Model, Tokenizer, load_model
from fairq_backends.reference._check import NAME, PlanCheck
from fairq_backends.reference._forward import last_hidden
from fairq_backends.reference._rounded import dtype_of, rounded
from fairq_backends.reference._sequence import Sequence
from fairq_backends.sampling import RequestCheck, check_drawn


@attrs.frozen(eq=False)
class Answer:
    """What a step has computed, before anything is changed."""

    tokens: dict[RequestId, int]
    stopped: tuple[RequestId, ...]
    logits: dict[RequestId, Tensor]


@attrs.define(eq=False)
class ReferenceBackend:
    """A Llama without pages, cache or batch: slow, and plain enough to be believed.

    Each token is computed from the whole text so far; chunks that do not sample compute
    nothing. Arithmetic is in fp32. ``Request.sampling`` is what
    ``SamplingParams.parse`` takes. A text also ends where the model's context does.

    A token after n others costs O(n**2).

    Raises:
        UsageError: an option is out of its bounds.
        ModelError: the model cannot be found, read or held in memory.
    """

    model: str | Path | Model = attrs.field(
        repr=lambda model: repr(getattr(model, "name", model))
    )
    """A name of the catalogue, a GGUF file, a Hugging Face folder, or a model that was
    loaded already; its weights are shared where their dtype allows."""

    dtype: str = attrs.field(default="float32", kw_only=True)
    """What the weights are rounded to: float32, bfloat16 or float16."""

    blocks: int = attrs.field(default=4096, kw_only=True)
    """KV blocks that the scheduler may plan with and share, >= 1; nothing stands behind
    them, and a cached prefix is computed with the rest of the text."""

    block_size: int = attrs.field(default=16, kw_only=True)
    """Tokens per block, >= 1."""

    max_sequences: int = attrs.field(default=64, kw_only=True)
    """Sequences in the batch at once, >= 1."""

    tokens_per_step: int = attrs.field(default=2048, kw_only=True)
    """Most positions that one step is asked for, >= 1."""

    keep_logits: bool = attrs.field(default=False, kw_only=True)
    """Whether ``logits`` is filled."""

    capacity: Capacity = attrs.field(init=False, repr=False)
    """What it can hold."""

    tokenizer: Tokenizer | None = attrs.field(init=False, repr=False)
    """That of the model; None when its files have none."""

    model_name: str = attrs.field(init=False, repr=False)
    """What the model is called."""

    logits: Mapping[RequestId, Tensor] = attrs.field(
        init=False, repr=False, factory=dict
    )
    """With ``keep_logits``: what the tokens of the last step were drawn from, fp32
    (vocabulary) each. Else empty."""

    _model: Model = attrs.field(init=False, repr=False)
    _weights: LlamaWeights = attrs.field(init=False, repr=False)
    _request_check: RequestCheck = attrs.field(init=False, repr=False)
    _batch: dict[RequestId, Sequence] = attrs.field(
        init=False, repr=False, factory=dict
    )
    _answered: int = attrs.field(init=False, repr=False, default=-1)
    _closed: bool = attrs.field(init=False, repr=False, default=False)

    def __attrs_post_init__(self) -> None:
        dtype = dtype_of(self.dtype)
        self.capacity = Capacity(
            blocks=self.blocks,
            block_size=self.block_size,
            max_sequences=self.max_sequences,
            tokens_per_step=self.tokens_per_step,
            prefix_cache=True,
        )
        self._model = _loaded(self.model, dtype)
        self._weights = rounded(self._model.weights, dtype)
        self.tokenizer = self._model.tokenizer
        self.model_name = self._model.name
        self._request_check = RequestCheck(
            vocab_size=self._model.config.vocab_size,
            context_length=self._model.config.context_length,
        )

    def check(self, request: Request) -> None:
        """Refuse what no step could run, before it is queued. O(prompt).

        Raises:
            UsageError: a token id is outside of the vocabulary, or ``sampling`` cannot
                be understood.
            RequestRejected: the prompt leaves no room in the model's context.
        """
        self._request_check.check(request)

    @torch.inference_mode()
    def step(self, plan: StepPlan) -> StepResult:
        """Execute a plan. If it raises, the backend is as before the plan.

        Raises:
            BackendError: the plan makes no sense, the ``sampling`` of a request cannot
                be understood, one of its tokens is outside of the vocabulary, or the
                logits of one are no numbers.
        """
        started_ns = time.perf_counter_ns()
        self._check_turn(plan)
        batch = PlanCheck(plan, self._batch, self._model.config).run()
        answer = self._compute(plan, batch)
        # Nothing was changed so far, and nothing fails from here.
        for request_id, token in answer.tokens.items():
            batch[request_id] = batch[request_id].longer(token)
        self._batch, self._answered = batch, plan.step_id
        self.logits = answer.logits if self.keep_logits else {}
        elapsed_ns = time.perf_counter_ns() - started_ns
        return StepResult(plan.step_id, answer.tokens, answer.stopped, elapsed_ns)

    def close(self) -> None:
        """Release everything; a step after this is an error."""
        if not self._closed:
            self._closed = True
            self._batch, self.logits = {}, {}
            self.model = self.model_name
            del self._model, self._weights

    def _check_turn(self, plan: StepPlan) -> None:
        problem = None
        if self._closed:
            problem = f"Plan {plan.step_id} came after close()."
        elif plan.step_id <= self._answered:
            expected = f"a step_id above {self._answered}, the last one answered"
            problem = f"Plans need {expected}; got step_id={plan.step_id}."
        if problem is not None:
            raise BackendError(problem, backend=NAME, step_id=plan.step_id)

    def _compute(self, plan: StepPlan, batch: Mapping[RequestId, Sequence]) -> Answer:
        due = [
            *plan.decodes,
            *(each.request_id for each in plan.chunks if each.samples),
        ]
        logits = {each: self._logits(batch[each]) for each in due}
        tokens = {each: batch[each].draw(logits[each]) for each in due}
        check_drawn([*tokens.values()], due, backend=NAME, step_id=plan.step_id)
        config = self._model.config
        ended = (id_ for id_, it in tokens.items() if batch[id_].ends_with(it, config))
        return Answer(tokens, tuple(ended), logits)

    def _logits(self, sequence: Sequence) -> Tensor:
        """What follows the text: (vocabulary)."""
        tokens = torch.tensor(sequence.text, device=self._weights.embedding.device)
        hidden = last_hidden(self._weights, self._model.config, tokens)
        return self._weights.head @ hidden[-1]


def _loaded(model: object, dtype: torch.dtype) -> Model:
    if isinstance(model, Model):
        return model
    if isinstance(model, str | Path):
        return load_model(model, dtype=dtype)
    msg = f"ReferenceBackend.model must be a name, a path or a Model; got {model!r}."
    raise UsageError(msg)
