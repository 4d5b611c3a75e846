"""A whole decode step of a model of real size, against what memory allows."""

import gc
import statistics
from collections.abc import Sequence

import attrs
import torch

from fairq_backends.llama import LlamaConfig, Model, random_model
from fairq_backends.torch_paged import TorchPagedBackend
from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.serving import StandingBatch, Times
from tests.benchmarks.gpu.timing import Timing

__all__ = ["measure"]

RATIO = 1.5
SHARE = 0.01
COMPARED = 3
"""Steps whose logits are compared."""
WARM_UPS = 5
BLOCK_SIZE = 16


def measure(bench: Bench) -> None:
    """Both modes, with graphs and without."""
    model = random_model(
        bench.sizes.model, dtype=bench.dtype, device=bench.device, scale=0.02
    )
    for mode in ("fast", "exact"):
        eager = _Run(bench, model, mode, graphs=False).run()
        replayed = _Run(bench, model, mode, graphs=True).run()
        equal = float(torch.equal(eager, replayed))
        name = f"{mode}, logits with graphs as without"
        bench.say(name, equal, "equal", at_least=1, note=f"{COMPARED} steps")


@attrs.frozen(eq=False)
class _Run:
    """One mode, with graphs or without."""

    bench: Bench
    model: Model
    mode: str
    graphs: bool

    def run(self) -> torch.Tensor:
        """Say the times; the logits of the first steps."""
        backend = self._backend()
        try:
            return self._measured(backend)
        finally:
            backend.close()
            del backend
            gc.collect()  # the pool is most of the memory, and the next needs it
            if self.bench.device.type == "cuda":
                torch.cuda.empty_cache()

    def _backend(self) -> TorchPagedBackend:
        size = self.bench.sizes.standing
        most = size.edge + 2 * size.steps + 2 * WARM_UPS
        capacity = StandingBatch.capacity(size.batch, most, BLOCK_SIZE)
        return TorchPagedBackend(
            model=self.model,
            mode=self.mode,
            device=self.bench.device.type,
            blocks=capacity.blocks,
            block_size=BLOCK_SIZE,
            max_sequences=size.batch,
            cuda_graphs=self.graphs,
        )

    def _measured(self, backend: TorchPagedBackend) -> torch.Tensor:
        size = self.bench.sizes.standing
        # To the edge, over it, and as many steps again.
        output = size.edge - size.context + BLOCK_SIZE + size.steps + WARM_UPS
        batch = StandingBatch.of(
            backend, batch=size.batch, context=size.context, output=output
        )
        logits = batch.logits(COMPARED)
        name = f"{self.mode}, {'graphs' if self.graphs else 'eager'}"
        self._say(name, batch, self._timed(batch))
        if self.graphs:
            while size.context + batch.steps <= size.edge:
                batch.step()
            self._say(f"{name}, past {size.edge}", batch, self._timed(batch))
        return logits

    def _timed(self, batch: StandingBatch) -> list[Times]:
        for _ in range(WARM_UPS):
            batch.step()
        return [batch.step() for _ in range(self.bench.sizes.standing.steps)]

    def _say(self, name: str, batch: StandingBatch, times: Sequence[Times]) -> None:
        took = Timing.of([1e3 * each.step for each in times])
        floor = self._floor_ms(batch.positions - batch.batch * len(times) // 2)
        rate = batch.batch / took.ms * 1e3
        note = f"{took.text()}, floor {floor:.4g} ms, {rate:.0f} tokens/s"
        at_most = RATIO if self.mode == "fast" and self.graphs else None
        ratio = took.ms / floor
        self.bench.say(f"step, {name}", ratio, "of floor", at_most=at_most, note=note)
        share = statistics.median(each.kernel / each.step for each in times)
        self.bench.say(
            f"scheduler, {name}",
            share,
            "of step",
            at_most=SHARE,
            note=f"{statistics.median(1e6 * each.kernel for each in times):.0f} us",
        )

    def _floor_ms(self, positions: int) -> float:
        """Every weight but the embedding, and all of the cache, read once."""
        config, size = self.model.config, self.bench.dtype.itemsize
        weights = (config.parameters - config.vocab_size * config.hidden_size) * size
        cache = positions * kv_bytes(config, size)
        return (weights + cache) / self.bench.copy_rate * 1e3


def kv_bytes(config: LlamaConfig, size: int) -> int:
    """K and V of one position in all layers."""
    return 2 * config.layers * config.kv_heads * config.head_dim * size
