"""The executor: checks a plan, applies it, computes, draws, and answers."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

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
from fairq_backends.llama import (
    LlamaConfig,
    LlamaWeights,
    Model,
    Tokenizer,
    load_model,
    rope_table,
)
from fairq_backends.sampling import RequestCheck, check_drawn, draw
from fairq_backends.torch_paged._batch import Batch
from fairq_backends.torch_paged._capacity import Sizes, capacity_of
from fairq_backends.torch_paged._check import Limits, PlanCheck
from fairq_backends.torch_paged._errors import (
    NAME,
    is_beyond_repair,
    is_out_of_memory,
    refuse,
)
from fairq_backends.torch_paged._forward import Network
from fairq_backends.torch_paged._graphs import Graphs, cuda_capture
from fairq_backends.torch_paged._layout import StepLayout
from fairq_backends.torch_paged._ops import Ops
from fairq_backends.torch_paged._options import (
    device_of,
    dtype_of,
    kv_dtype_of,
    mode_of,
    usual_dtype,
)
from fairq_backends.torch_paged._pool import KvPool
from fairq_backends.torch_paged._room import Room
from fairq_backends.torch_paged._shape import Shape
from fairq_backends.torch_paged._standing import Standing
from fairq_backends.torch_paged._torch_ops import ExactTorchOps, FastTorchOps
from fairq_backends.torch_paged._triton_ops import TritonOps
from fairq_backends.torch_paged._weights import placed

__all__ = ["TorchPagedBackend"]


@attrs.frozen(kw_only=True, eq=False)
class _Answer:
    """What a step computed, before it counts."""

    tokens: dict[RequestId, int]
    stopped: tuple[RequestId, ...]
    logits: dict[RequestId, Tensor]
    layout: StepLayout
    drawn: Tensor
    """(R,) int64: the tokens on the device."""


def _kept(names: list[RequestId], logits: Tensor) -> dict[RequestId, Tensor]:
    # A copy: a replayed graph overwrites its result.
    return dict(zip(names, logits.clone(), strict=True))


@attrs.define(kw_only=True, eq=False)
class TorchPagedBackend:
    """A Llama with a paged KV cache, on a CPU or an NVIDIA GPU.

    ``Request.sampling`` is what ``SamplingParams.parse`` takes; None is greedy up to
    the model's end token. A sequence also ends where the model's context does.

    A step in which everybody decodes touches no request on the host.

    Raises:
        UsageError: an option is out of its bounds.
        ModelError: the model cannot be loaded; the message names the file.
    """

    model: str | Path | Model = attrs.field(
        repr=lambda it: repr(getattr(it, "name", it))
    )
    """A folder or file, a published name such as ``smollm2``, or one that is loaded."""

    dtype: str | None = None
    """``float32``, ``bfloat16`` or ``float16``, of weights and KV; None for float32 on
    a CPU and bfloat16 on a GPU. KV is float32 in exact mode on a CPU."""

    mode: str | None = None
    """``exact``: the logits of a request are the same bits whatever the chunks, the
    batch and the blocks. ``fast``: what is quickest. None for exact on a CPU and fast
    on a GPU."""

    device: str = "auto"
    """``cpu``, ``cuda``, or a GPU where there is one."""

    blocks: int | None = None
    """KV blocks, >= 1; None for what the free memory has room for."""

    block_size: int = 16
    """Tokens per block, >= 1."""

    max_sequences: int | None = None
    """Sequences in the batch at once, >= 1; None for 64 on a CPU, 256 on a GPU."""

    tokens_per_step: int | None = None
    """Most positions one step computes, >= 1; None for 512 on a CPU, 2,048 on a GPU."""

    cuda_graphs: bool = True
    """On a GPU, replay a captured graph when everybody decodes. Changes no bit."""

    debug: bool = False
    """Fill blocks that nobody holds with NaN, so that a read through a wrong table
    fails the step. A block then holds nothing once it is left, so ``capacity`` is
    without ``prefix_cache``."""

    keep_logits: bool = False
    """Keep ``logits``."""

    capacity: Capacity = attrs.field(init=False, repr=False)
    """What it can hold."""

    logits: Mapping[RequestId, Tensor] = attrs.field(
        init=False, repr=False, factory=dict
    )
    """Of the last step, if ``keep_logits``: (vocabulary,) float32 for each token."""

    tokenizer: Tokenizer | None = attrs.field(init=False, repr=False)
    """The model's, if its files have one."""

    model_name: str = attrs.field(init=False, repr=False)
    """What the model is called."""

    _network: Network | Graphs = attrs.field(init=False, repr=False)
    _ops: Ops = attrs.field(init=False, repr=False)
    _batch: Batch = attrs.field(init=False, repr=False)
    _limits: Limits = attrs.field(init=False, repr=False)
    _eos: Tensor = attrs.field(init=False, repr=False)
    _answered: int = attrs.field(init=False, repr=False, default=-1)
    _closed: bool = attrs.field(init=False, repr=False, default=False)

    def __attrs_post_init__(self) -> None:
        device = device_of(self.device)
        mode = mode_of(self.mode, device)
        sizes = Sizes(
            blocks=self.blocks,
            block_size=self.block_size,
            max_sequences=self.max_sequences,
            tokens_per_step=self.tokens_per_step,
            prefix_cache=not self.debug,
        )
        model = self._loaded(device)
        config = model.config
        dtype = dtype_of(self.dtype, model.weights.embedding.dtype)
        kv_dtype = kv_dtype_of(dtype, mode, device)
        room = Room(config=config, dtype=dtype, kv_dtype=kv_dtype, device=device)
        with room.for_weights():
            weights = placed(model.weights, dtype, device)
        # After the weights: the pool gets what they leave.
        self.capacity = capacity_of(sizes, config, kv_dtype, device)
        self._limits = Limits(
            capacity=self.capacity,
            vocab_size=config.vocab_size,
            context_length=config.context_length,
        )
        self.tokenizer, self.model_name = model.tokenizer, model.name
        self._eos = torch.tensor(config.eos, dtype=torch.int64, device=device)
        with room.for_all(self.capacity):
            pool = self._make_pool(config, kv_dtype, device)
            self._build(config, weights, pool, mode)

    def check(self, request: Request) -> None:
        """Refuse what no step could run, before it is queued. O(prompt).

        Raises:
            UsageError: a token id is outside of the vocabulary, or ``sampling`` cannot
                be understood.
            RequestRejected: the prompt leaves no room in the model's context.
        """
        limits = self._limits
        RequestCheck(
            vocab_size=limits.vocab_size, context_length=limits.context_length
        ).check(request)

    @torch.inference_mode()
    def step(self, plan: StepPlan) -> StepResult:
        """Execute a plan. If it raises, the backend is as before the plan.

        Raises:
            BackendError: the plan cannot be carried out, memory ran out, or a logit is
                no number.
        """
        started = time.perf_counter_ns()
        self._check_turn(plan)
        arrivals = PlanCheck(plan, self._batch, self._limits).run()
        try:
            with self._batch.changed(plan, arrivals):
                answer = self._compute(plan)
                self._batch.advance(plan.chunks, answer.layout, answer.drawn)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                self._no_memory(plan, error)
            raise
        # From here on nothing fails.
        self.logits = answer.logits
        self._answered = plan.step_id
        elapsed_ns = time.perf_counter_ns() - started
        return StepResult(plan.step_id, answer.tokens, answer.stopped, elapsed_ns)

    def close(self) -> None:
        """Release the weights and the pool; a step after this is an error."""
        self._closed = True
        self._network = self._batch = self._ops = None  # type: ignore[assignment]  # nobody looks
        # A loaded model that was passed in belongs to the caller.
        self.model, self.logits = self.model_name, {}

    def _loaded(self, device: torch.device) -> Model:
        model: object = self.model
        if isinstance(model, Model):
            return model
        if not isinstance(model, str | Path):
            msg = f"model must be a name, a path or a Model; got {model!r}."
            raise UsageError(msg)
        dtype = dtype_of(self.dtype, usual_dtype(device))
        return load_model(model, dtype=dtype, device=device)

    def _make_pool(
        self, config: LlamaConfig, dtype: torch.dtype, device: torch.device
    ) -> KvPool:
        return KvPool.make(
            layers=config.layers,
            blocks=self.capacity.blocks,
            kv_heads=config.kv_heads,
            block_size=self.capacity.block_size,
            head_dim=config.head_dim,
            dtype=dtype,
            device=device,
            debug=self.debug,
        )

    def _build(
        self, config: LlamaConfig, weights: LlamaWeights, pool: KvPool, mode: str
    ) -> None:
        capacity = self.capacity
        standing = Standing.make(
            slots=capacity.max_sequences,
            most_blocks=self._limits.most_blocks,
            null_block=pool.null_block,
            device=pool.keys.device,
        )
        self._batch = Batch(standing, pool)
        self._ops = self._make_ops(config, mode, standing.tables)
        network = Network.build(
            weights,
            self._ops,
            most_rows=capacity.tokens_per_step,
            most_drawn=capacity.max_sequences,
        )
        self._network = self._replayed(network, standing)

    def _make_ops(self, config: LlamaConfig, mode: str, tables: Tensor) -> Ops:
        shape = Shape.of(config, self.capacity.block_size)
        # No text is longer than the pool.
        longest = min(config.context_length, self._limits.positions)
        rope = rope_table(config, longest, tables.device)
        if tables.device.type == "cuda":
            return TritonOps(
                shape=shape,
                norm_eps=config.norm_eps,
                rope=rope,
                tables=tables,
                exact=mode == "exact",
            )
        if mode == "exact":
            return ExactTorchOps.make(shape, config.norm_eps, rope, tables)
        return FastTorchOps.make(shape, config.norm_eps, rope, tables)

    def _replayed(self, network: Network, standing: Standing) -> Network | Graphs:
        on_gpu = standing.tables.device.type == "cuda"
        if self.cuda_graphs and on_gpu and isinstance(self._ops, TritonOps):
            return Graphs(network, self._ops, standing, cuda_capture)
        return network

    def _compute(self, plan: StepPlan) -> _Answer:
        """Draw a token for everybody who is due; nothing is kept but K and V."""
        batch = self._batch
        layout = batch.layout(plan.chunks, self._ops.padded)
        computed = self._network.forward(layout, batch.pool)
        logits = computed.logits
        slots = layout.sample_slots
        positions = layout.positions[layout.sample_rows]
        drawn = draw(logits, batch.standing.sampling, slots, positions + 1)
        ended = self._ended(drawn, slots, positions + 1)
        names = [*batch.order, *(c.request_id for c in plan.chunks if c.samples)]
        tokens = drawn.tolist()
        check_drawn(tokens, names, backend=NAME, step_id=plan.step_id)
        self._check_rows(plan, computed.finite)
        return _Answer(
            tokens=dict(zip(names, tokens, strict=True)),
            stopped=tuple(names[index] for index in ended.nonzero()[:, 0].tolist()),
            logits=_kept(names, logits) if self.keep_logits else {},
            layout=layout,
            drawn=drawn,
        )

    def _check_rows(self, plan: StepPlan, finite: Tensor | None) -> None:
        """Refuse a step in which a row that yields no token is no number.

        Its K and V would be read by those who share the block, and by later steps.
        """
        if finite is None or bool(finite.all()):
            return
        row = int(finite.logical_not().nonzero()[0])
        names = [*self._batch.order]
        for chunk in plan.chunks:
            names += [chunk.request_id] * chunk.length
        msg = (
            f"Request {names[row]}: all that is computed for its prompt must be finite "
            "numbers; something is NaN or infinite. Use a wider dtype, or check the "
            "weights of the model."
        )
        refuse(msg, plan.step_id)

    def _ended(self, drawn: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        sampling = self._batch.standing.sampling
        asked = sampling.stopped(drawn, slots, positions, self._eos)
        return asked | (positions + 1 >= self._limits.context_length)

    def _check_turn(self, plan: StepPlan) -> None:
        if self._closed:
            refuse(f"Plan {plan.step_id} came after close().", plan.step_id)
        if plan.step_id <= self._answered:
            expected = f"a step_id above {self._answered}, the last one answered"
            refuse(f"Plans need {expected}; got {plan.step_id}.", plan.step_id)

    def _no_memory(self, plan: StepPlan, error: Exception) -> NoReturn:
        msg = (
            f"Step {plan.step_id} of {plan.tokens} positions ran out of memory; "
            "nothing was changed. Give the backend fewer blocks or a smaller "
            "tokens_per_step."
        )
        if is_beyond_repair(error):
            msg += " oneDNN does not recover from this: start the process anew."
        raise BackendError(msg, backend=NAME, step_id=plan.step_id) from error
