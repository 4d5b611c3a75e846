"""Whether Torch's own ragged attention could read a paged cache here."""

import importlib
import inspect

from tests.benchmarks.gpu.bench import Bench

__all__ = ["measure"]


def measure(bench: Bench) -> None:
    """Its signature; 1 if it takes block tables."""
    try:
        module = importlib.import_module("torch.nn.attention.varlen")
    except ImportError as error:
        bench.say("varlen_attn takes block tables", 0, "yes", note=error)
        return
    signature = inspect.signature(module.varlen_attn)
    paged = float("block_table" in signature.parameters)
    bench.say("varlen_attn takes block tables", paged, "yes", note=signature)
