"""The weights of a Hugging Face folder, in one safetensors file or several."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fairq_backends.catalogue import ModelError
from fairq_backends.llama._json import read_json

ATTENTION: Final = "model.layers.{}.self_attn."
MLP: Final = "model.layers.{}.mlp."
TENSORS: Final[Mapping[str, str]] = {
    "embedding": "model.embed_tokens.weight",
    "norm": "model.norm.weight",
    "head": "lm_head.weight",
    "attention_norm": "model.layers.{}.input_layernorm.weight",
    "q": ATTENTION + "q_proj.weight",
    "k": ATTENTION + "k_proj.weight",
    "v": ATTENTION + "v_proj.weight",
    "output": ATTENTION + "o_proj.weight",
    "mlp_norm": "model.layers.{}.post_attention_layernorm.weight",
    "gate": MLP + "gate_proj.weight",
    "up": MLP + "up_proj.weight",
    "down": MLP + "down_proj.weight",
}
DTYPES: Final = ("F32", "F16", "BF16")
WHOLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
INVERSE: Final = "rotary_emb.inv_freq"
"""Older files store the frequencies too; they follow from the config."""


@attrs.frozen(eq=False)
class HfSource:
    """The tensors of a folder; a file is opened for each that is read."""

    path: Path
    """The folder."""

    files: Mapping[str, Path]
    """Which file has a tensor."""

    shapes: Mapping[str, tuple[int, ...]]
    """Of all tensors."""

    names: Mapping[str, str] = TENSORS
    """The file's name of each part."""

    extras: tuple[str, ...] = (INVERSE, TENSORS["head"])
    """The head is a copy when it is tied; whether it is one is checked."""

    def read(self, part: str, name: str) -> Tensor:  # noqa: ARG002  # as GGUF
        """One tensor, as it is stored."""
        file = self.files[name]
        with _opened(file) as opened:
            tensor: Tensor = opened.get_tensor(name)
            return tensor

    def check_tied(self) -> None:
        """Refuses a head that is stored, but is not the embedding it is tied to."""
        head = TENSORS["head"]
        if head in self.files:
            embedding = self.read("embedding", TENSORS["embedding"])
            stored = self.read("head", head)
            same = embedding.dtype == stored.dtype and torch.equal(embedding, stored)
            if not same:
                msg = (
                    f"{self.path}: config and weights disagree: the config ties the "
                    f"head to the embedding, and {head} is another."
                )
                raise ModelError(msg, path=self.path)


def hf_source(folder: Path) -> HfSource:
    """Reads the headers of all files of a folder.

    Raises:
        ModelError: a file is missing, damaged, or has a type that is not read.
    """
    files, shapes = dict[str, Path](), dict[str, tuple[int, ...]]()
    for file in _files(folder):
        for name, shape in _header(file):
            if name in files:
                msg = (
                    f"{folder}: tensor {name} is in {files[name].name} and {file.name}."
                )
                raise ModelError(msg, path=folder)
            files[name], shapes[name] = file, shape
    return HfSource(folder, files, shapes)


def _files(folder: Path) -> list[Path]:
    if (folder / INDEX).exists():
        return _indexed(folder)
    if (folder / WHOLE).exists():
        return [folder / WHOLE]
    msg = f"{folder} has neither {WHOLE} nor {INDEX}; other formats are not read."
    raise ModelError(msg, path=folder)


def _indexed(folder: Path) -> list[Path]:
    index = read_json(folder / INDEX)
    weights = index.inside("weight_map")
    if weights is None:
        index.refuse("weight_map is missing")
    names = sorted({weights.text(tensor) for tensor in weights.values})
    for name in names:
        # An index from elsewhere must not make us read files from elsewhere.
        if Path(name).name != name:
            index.refuse(f"{name!r} should be the name of a file in the folder")
    return [folder / name for name in names]


def _header(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    with _opened(file) as opened:
        for name in sorted(opened.keys()):
            part = opened.get_slice(name)
            dtype = part.get_dtype()
            if dtype not in DTYPES:
                msg = f"{file}: tensor {name} is {dtype}; read are {', '.join(DTYPES)}."
                raise ModelError(msg, path=file)
            yield name, tuple(part.get_shape())


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with safe_open(file, framework="pt") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        msg = f"{file} cannot be read: {error}."
        raise ModelError(msg, path=file) from error
