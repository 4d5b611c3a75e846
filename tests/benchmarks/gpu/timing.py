"""How long the device takes for something.

On a GPU: the work is captured in a CUDA graph, because the launches of a small kernel
take the host longer than the kernel runs; then replayed between two events. Before each
replay a buffer several times the size of the L2 cache is read, so that nothing is found
there (read, not written: dirty lines would be written back on the work's account).
"""

import statistics
import time
from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

__all__ = ["Timer", "Timing"]

WARM_UPS = 3


@attrs.frozen
class Timing:
    """Times of equal runs, in milliseconds."""

    ms: float
    """The median."""
    least: float
    most: float
    runs: int

    @classmethod
    def of(cls, times: Sequence[float]) -> "Timing":
        return cls(statistics.median(times), min(times), max(times), len(times))

    def text(self) -> str:
        return f"{self.ms:.4g} ms ({self.least:.4g} to {self.most:.4g}, n={self.runs})"


@attrs.define(eq=False)
class Timer:
    """Times work on one device."""

    device: torch.device
    repeats: int
    flush_bytes: int
    _flushed: Tensor | None = None

    def time(self, work: Callable[[], object]) -> Timing:
        """The median and the spread, after warming up."""
        if self.device.type != "cuda":
            return self._on_cpu(work)
        replay = captured(work)
        for _ in range(WARM_UPS):
            replay()
        starts, ends = self._events(), self._events()
        for start, end in zip(starts, ends, strict=True):
            self._flush()
            start.record()
            replay()
            end.record()
        torch.cuda.synchronize()
        pairs = zip(starts, ends, strict=True)
        return Timing.of([start.elapsed_time(end) for start, end in pairs])

    def _on_cpu(self, work: Callable[[], object]) -> Timing:
        self._flush()
        times = []
        for _ in range(self.repeats):
            begun = time.perf_counter()
            work()
            times.append((time.perf_counter() - begun) * 1e3)
        return Timing.of(times)

    def _events(self) -> list[torch.cuda.Event]:
        made = torch.cuda.Event
        return [
            made(enable_timing=True)  # type: ignore[no-untyped-call]  # Torch's own gap
            for _ in range(self.repeats)
        ]

    def _flush(self) -> None:
        if self._flushed is None:
            shape = (self.flush_bytes // 4,)
            self._flushed = torch.zeros(shape, device=self.device)
        self._flushed.sum()


def captured(work: Callable[[], object]) -> Callable[[], object]:
    """Warm up on a side stream, as CUDA wants it, then capture; what replays it."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # Torch's own gap
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay
