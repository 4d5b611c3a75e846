"""CUDA graphs of steps in which everybody decodes.

Such a step is some 300 launches, each of which costs the host more than the GPU needs
for it. Captured once for each (batch size, covered context), it is one. A graph reads
its inputs from fixed places: who decodes, how many of them count, and the lists of
attention. Tokens, positions and tables it reads where they stand.
"""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from fairq_backends.torch_paged._forward import Computed, Network
from fairq_backends.torch_paged._layout import StepLayout
from fairq_backends.torch_paged._pool import KvPool
from fairq_backends.torch_paged._standing import Standing
from fairq_backends.torch_paged._triton_ops import (
    DecodeWork,
    TritonOps,
    TritonWork,
)
from fairq_backends.triton_kernels import SEGMENT

__all__ = ["Graphs", "covering", "cuda_capture", "padded_batch"]

Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], object], Tensor]]
"""Takes a function that launches; returns what launches it again, and its result."""


def padded_batch(count: int) -> int:
    """The batch size whose graph serves ``count`` decodes: at most a quarter more."""
    for step, most in ((1, 2), (2, 8), (4, 16), (8, 64), (16, 128)):
        if count <= most:
            return -(-count // step) * step
    return -(-count // 32) * 32


def covering(length: int) -> int:
    """Positions that a graph is made for: ``length``, rounded up to few values."""
    covered = SEGMENT
    while covered < length:
        covered *= 2
    return covered


@attrs.define(eq=False)
class _Graph:
    """One captured step and the places it reads."""

    slots: Tensor
    """(padded,) int64: who decodes; 0 where padding is."""
    live: Tensor
    """(padded,) bool."""
    work: DecodeWork
    replay: Callable[[], object] = attrs.field(init=False)
    logits: Tensor = attrs.field(init=False)
    filled: Tensor | None = None
    """The ``decode_slots`` for which the places were filled."""

    def fill(self, slots: Tensor) -> None:
        """Let the graph serve these slots from now on; nothing if it does."""
        if self.filled is slots:
            return
        count = len(slots)
        self.slots.zero_()
        self.slots[:count] = slots
        self.live.zero_()
        self.live[:count] = True
        # Column 0 of an item is the row of its table; segments and places stay.
        items = self.work.lists.items.items
        parts = len(items) // len(self.slots)
        items[:, 0] = self.slots.repeat_interleave(parts).int()
        self.filled = slots


@attrs.define(eq=False)
class Graphs:
    """A network whose pure decode steps are replayed."""

    network: Network
    ops: TritonOps
    standing: Standing
    capture: Capture
    _graphs: dict[tuple[int, int], _Graph] = attrs.field(factory=dict)

    def forward(self, layout: StepLayout, pool: KvPool) -> Computed:
        """As ``Network.forward``. The result is overwritten by the next step."""
        if layout.spans or not layout.decodes:
            return self.network.forward(layout, pool)
        key = padded_batch(layout.decodes), covering(layout.longest)
        if key not in self._graphs:
            self._graphs[key] = self._captured(key, pool)
        graph = self._graphs[key]
        graph.fill(layout.decode_slots)
        graph.replay()
        return Computed(graph.logits[: layout.decodes])

    def _captured(self, key: tuple[int, int], pool: KvPool) -> _Graph:
        padded, covered = key
        device = self.standing.tables.device
        slots = torch.zeros(padded, dtype=torch.int64, device=device)
        live = torch.zeros(padded, dtype=torch.bool, device=device)
        lengths = torch.full_like(slots, covered)
        work = DecodeWork.of(slots, lengths, covered, self.ops.shape)
        graph = _Graph(slots, live, work)
        # While it is captured nobody is live, so that nothing is stored.
        graph.replay, graph.logits = self.capture(lambda: self._decode(graph, pool))
        return graph

    def _decode(self, graph: _Graph, pool: KvPool) -> Tensor:
        standing, size = self.standing, self.ops.shape.block_size
        positions = torch.where(graph.live, standing.lengths[graph.slots], 0)
        blocks = standing.tables[graph.slots, positions // size].long()
        places = torch.where(graph.live, blocks * size + positions % size, -1)
        work = TritonWork(self.ops, positions, places, graph.work, None)
        hidden = self.network.rows(standing.last[graph.slots], work, pool)
        return self.network.head(hidden).float()


def cuda_capture(launch: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
    """Warm up on a side stream, as CUDA wants it, then capture.

    Raises:
        RuntimeError: CUDA cannot capture one of the launches.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # Torch's own gap
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        launch()  # compiles the kernels, which a capture must not do
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = launch()
    return graph.replay, result
