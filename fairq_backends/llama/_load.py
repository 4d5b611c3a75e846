"""Loading a model from wherever it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from fairq import UsageError
from fairq_backends.catalogue import ModelError, resolve
from fairq_backends.llama._assemble import assemble, check_shapes
from fairq_backends.llama._bpe import gguf_tokenizer
from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._device import checked_device
from fairq_backends.llama._gguf import read_gguf
from fairq_backends.llama._gguf_model import GgufSource, gguf_config
from fairq_backends.llama._hf_config import hf_config
from fairq_backends.llama._hf_model import hf_source
from fairq_backends.llama._hf_tokenizer import hf_tokenizer
from fairq_backends.llama._memory import enough_memory
from fairq_backends.llama._model import Model
from fairq_backends.llama._parts import Source
from fairq_backends.llama._tokenizer import Tokenizer

DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)


def load_model(
    source: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], object] | None = None,
) -> Model:
    """Loads a model with its tokenizer.

    Args:
        source: A name of the catalogue, a GGUF file, or a Hugging Face folder
            (config.json, safetensors, tokenizer.json).
        dtype: Of all weights: float32, bfloat16 or float16.
        device: Where they go. On the way one tensor at a time is in host memory.
        progress: Bytes done and in all, while a model of the catalogue is fetched.

    Raises:
        ModelError: the model cannot be found, read, run, or held in memory.
        UsageError: the dtype is none of the three, or there is no such device.
    """
    if dtype not in DTYPES:
        msg = f"Weights can be float32, bfloat16 or float16, not {dtype}."
        raise UsageError(msg)
    where = checked_device(device)
    path = resolve(source, progress)
    load = _load_folder if path.is_dir() else _load_gguf
    try:
        return load(path, dtype, where)
    except MemoryError as error:
        # Before the weights, whose size is known and named: vocabulary and metadata.
        msg = f"{path} cannot be read: memory ran out before its weights were begun."
        raise ModelError(msg, path=path) from error


def _load_gguf(path: Path, dtype: torch.dtype, device: torch.device) -> Model:
    if path.suffix == ".safetensors":
        msg = f"{path} has weights only; give the folder that holds config.json too."
        raise ModelError(msg, path=path)
    file = read_gguf(path)
    config = gguf_config(file)
    tokenizer = gguf_tokenizer(path, file.metadata)
    source = GgufSource(file, config)
    check_shapes(config, source)
    return _model(path.stem, source, config, tokenizer, (dtype, device))


def _load_folder(path: Path, dtype: torch.dtype, device: torch.device) -> Model:
    config = hf_config(path)
    tokenizer = hf_tokenizer(path, config)
    source = hf_source(path)
    check_shapes(config, source)
    if config.tied:
        source.check_tied()
    name = path.resolve().name
    return _model(name, source, config, tokenizer, (dtype, device))


def _model(
    name: str,
    source: Source,
    config: LlamaConfig,
    tokenizer: Tokenizer | None,
    where: tuple[torch.dtype, torch.device],
) -> Model:
    path = source.path
    if tokenizer is not None and tokenizer.vocab_size > config.vocab_size:
        msg = (
            f"{path}: config and tokenizer disagree: the model knows "
            f"{config.vocab_size} tokens, and the tokenizer has ids up to "
            f"{tokenizer.vocab_size - 1}."
        )
        raise ModelError(msg, path=path)
    with enough_memory(name, path, config, *where):
        weights = assemble(config, source, *where)
    return Model(name=name, config=config, weights=weights, tokenizer=tokenizer)
