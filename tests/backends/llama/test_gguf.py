"""GGUF files: what is read, what is refused, and what damage does."""

import resource
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairq_backends.llama import Model, ModelError, Rope, load_model
from fairq_backends.llama._gguf import read_gguf
from tests.backends.llama import _tiny as tiny
from tests.backends.llama._gguf_writer import Stored, Typed, gguf, write

# --- metadata -------------------------------------------------------------------------

SCALARS = {
    "u8": Typed(0, "B", 200),
    "i8": Typed(1, "b", -100),
    "u16": Typed(2, "H", 60_000),
    "i16": Typed(3, "h", -30_000),
    "u32": Typed(4, "I", 4_000_000_000),
    "i32": Typed(5, "i", -2_000_000_000),
    "f32": Typed(6, "f", 0.5),
    "bool": Typed(7, "?", value=True),
    "u64": Typed(10, "Q", 2**63),
    "i64": Typed(11, "q", -(2**62)),
    "f64": Typed(12, "d", 0.1),
}


def test_every_type_of_metadata_is_read(tmp_path: Path) -> None:
    arrays = {"texts": ["a", "", "ü"], "numbers": [3, -4], "none": []}
    data = gguf({**SCALARS, "text": "grüß", **arrays}, {})
    expected = {key: typed.value for key, typed in SCALARS.items()}
    read = read_gguf(write(tmp_path / "a.gguf", data)).metadata
    assert {**expected, "text": "grüß", **arrays} == read


@pytest.mark.parametrize("alignment", [8, 32, 64, 4096])
def test_tensors_lie_where_the_alignment_puts_them(
    tmp_path: Path, alignment: int
) -> None:
    stored = {
        "a": Stored(0, (3, 1), b"123456789012"),
        "b": Stored(1, (2,), b"wxyz"),
    }
    data = gguf({"general.alignment": alignment}, stored, alignment=alignment)
    file = read_gguf(write(tmp_path / "a.gguf", data))
    assert [b"123456789012", b"wxyz"] == [bytes(file.raw(name)) for name in "ab"]
    assert [(3, 1), (2,)] == [it.shape for it in file.tensors.values()]


@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_are_read(tmp_path: Path, version: int) -> None:
    path = write(tmp_path / "a.gguf", tiny.gguf_bytes(version=version))
    assert tiny.LAYERS == load_model(path).config.layers


# --- refused by name ------------------------------------------------------------------


def load(folder: Path, data: bytes) -> Model:
    return load_model(write(folder / "a.gguf", data))


def expect(folder: Path, message: str, data: bytes) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load(folder, data)
    assert folder / "a.gguf" == caught.value.path
    assert str(folder / "a.gguf") in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("general.architecture", "qwen2", "architecture 'qwen2' is not run"),
        ("general.architecture", "absent", "general.architecture is missing"),
        ("general.architecture", 3, "general.architecture should be a text, and is 3"),
        ("llama.block_count", "absent", "llama.block_count is missing"),
        ("llama.block_count", 2.0, "block_count should be a whole number, and is 2.0"),
        ("llama.block_count", True, "block_count should be a whole number, and is Tr"),
        ("llama.block_count", 0, "layers must be a whole number from 1"),
        ("llama.attention.head_count", [6, 6], "head_count should be a whole number"),
        ("llama.attention.head_count", 0, "llama.attention.head_count is 0"),
        ("llama.attention.head_count_kv", 4, "6 heads cannot share 4 KV heads"),
        ("llama.attention.value_length", 4, "value_length must be the head size 8"),
        ("llama.rope.dimension_count", 4, "dimension_count must be the head size 8"),
        ("llama.expert_count", 8, "with llama.expert_count is not run"),
        ("llama.attention.sliding_window", 4096, "sliding_window is not run"),
        ("llama.attention.causal", False, "llama.attention.causal is not known"),
        ("llama.logit_scale", 0.5, "llama.logit_scale is not known"),
        ("llama.rope.scaling.type", "yarn", "rope type 'yarn' is not known"),
        ("llama.rope.freq_base", 0.0, "Rope.theta must be positive"),
        ("llama.rope.freq_base", float("nan"), "Rope.theta must be positive"),
        ("llama.attention.layer_norm_rms_epsilon", 0.0, "norm_eps must be positive"),
        ("split.count", 3, "split over several files"),
        ("general.alignment", 0, "general.alignment cannot be 0"),
        ("general.alignment", "32", "general.alignment cannot be '32'"),
        ("tokenizer.ggml.model", "llama", "tokenizer 'llama' is not known"),
        ("tokenizer.ggml.pre", "qwen2", "pre 'qwen2' is not known; known are gpt-2"),
        ("tokenizer.ggml.pre", "absent", "tokenizer.ggml.pre is missing"),
        ("tokenizer.ggml.tokens", ["a", "a"], "tokens of the tokenizer are not dist"),
        ("tokenizer.ggml.tokens", [], "are not distinct, or there are none"),
        ("tokenizer.ggml.tokens", [1, 2], "tokens should be a list of texts"),
        ("tokenizer.ggml.token_type", [1, 3], "259 tokens have 2 types"),
        ("tokenizer.ggml.merges", ["he"], "'he' in tokenizer.ggml.merges is not a"),
        ("tokenizer.ggml.merges", ["h zzz"], "the tokenizer cannot be built"),
        ("tokenizer.ggml.eos_token_id", 259, "outside the vocabulary of 259"),
        ("tokenizer.ggml.eot_token_id", 300, "outside the vocabulary of 259"),
        ("tokenizer.ggml.bos_token_id", 4_000_000_000, "outside the vocabulary"),
        ("tokenizer.chat_template", 7, "chat_template should be a text"),
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused_by_name(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    expect(tmp_path, message, tiny.gguf_bytes(None, 3, **{key: value}))


@pytest.mark.parametrize(
    ("code", "shown"),
    [(12, "Q4_K"), (14, "Q6_K"), (24, "I8"), (77, "of the unknown type 77")],
)
def test_tensor_types_are_refused_by_name(
    tmp_path: Path, code: int, shown: str
) -> None:
    stored = {**tiny.tensors(), "output.weight": Stored(code, (256,), bytes(512))}
    expect(tmp_path, f"output.weight is {shown}; read are F32", tiny.gguf_bytes(stored))


def test_an_array_of_arrays_is_refused(tmp_path: Path) -> None:
    data = one_array(kind=9, count=1)
    expect(tmp_path, "metadata key keys is an array of the unknown type 9", data)


def one_array(kind: int, count: int) -> bytes:
    """A file with one key, an array that claims to have so many elements."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1)
    array = struct.pack("<Q4sIIQ", 4, b"keys", 9, kind, count)
    return head + array + bytes(100)


def test_a_key_of_an_unknown_type_is_refused(tmp_path: Path) -> None:
    expect(
        tmp_path, "odd has the unknown type 13", gguf({"odd": Typed(13, "I", 1)}, {})
    )


def test_a_key_or_tensor_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    twice = gguf({"aa": 1, "ab": 2}, {}).replace(b"ab", b"aa")
    expect(tmp_path, "metadata key aa occurs twice", twice)
    one = Stored(0, (1,), bytes(4))
    twice = gguf({}, {"ta": one, "tb": one}).replace(b"tb", b"ta")
    expect(tmp_path, "tensor ta occurs twice", twice)


@pytest.mark.parametrize("shape", [(0,), (4, 0), (33,), (2, 16)], ids=str)
def test_a_shape_that_does_not_fit_its_type_is_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    data = gguf({}, {"w": Stored(2, shape, bytes(512))})
    expect(tmp_path, "tensor w cannot be .* as Q4_0", data)


@pytest.mark.parametrize("shape", [(), (1, 1, 1, 1, 1)], ids=str)
def test_no_dimension_and_five_are_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    data = gguf({}, {"w": Stored(0, shape, bytes(64))})
    expect(tmp_path, f"tensor w has {len(shape)} dimensions, not 1 to 4", data)


# --- rope -----------------------------------------------------------------------------


def rope_of(folder: Path, **changes: Any) -> Rope:  # noqa: ANN401  # passed on
    return load(folder, tiny.gguf_bytes(**changes)).config.rope


def test_linear_rope_is_read_from_either_key(tmp_path: Path) -> None:
    linear = Rope(theta=5000.0, kind="linear", factor=4.0)
    new: dict[str, Any] = {
        "llama__rope__scaling__type": "linear",
        "llama__rope__scaling__factor": 4.0,
    }
    assert linear == rope_of(tmp_path, **new)
    assert linear == rope_of(tmp_path, llama__rope__scale_linear=4.0)
    assert Rope(theta=5000.0) == rope_of(tmp_path, llama__rope__scaling__type="none")


def test_rope_factors_are_read_from_their_tensor(tmp_path: Path) -> None:
    factors = tiny.as_f32(torch.tensor([1.0, 1.0, 2.5, 8.0]))
    stored = {**tiny.tensors(), "rope_freqs.weight": factors}
    expected = Rope(theta=5000.0, kind="factors", factors=(1.0, 1.0, 2.5, 8.0))
    assert expected == load(tmp_path, tiny.gguf_bytes(stored)).config.rope


@pytest.mark.parametrize(
    ("factors", "message"),
    [([1.0, 2.0], "has 2 factors; head_dim 8 needs 4"), ([1.0, 0, 1, 1], "positive")],
    ids=str,
)
def test_rope_factors_that_do_not_fit_are_refused(
    tmp_path: Path, factors: list[float], message: str
) -> None:
    stored = tiny.as_f32(torch.tensor(factors))
    data = tiny.gguf_bytes({**tiny.tensors(), "rope_freqs.weight": stored})
    expect(tmp_path, message, data)


# --- damage ---------------------------------------------------------------------------

WHOLE = tiny.gguf_bytes()


def test_other_files_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    expect(tmp_path, "is no GGUF file: it begins with b'PK", b"PK\3\4" + WHOLE)
    expect(tmp_path, "is no GGUF file: it begins with b''", b"")


@pytest.mark.parametrize("version", [0, 1, 4, 0x03000000])
def test_other_versions_are_refused(tmp_path: Path, version: int) -> None:
    expect(tmp_path, f"GGUF version {version} is not", gguf({}, {}, version=version))


@pytest.mark.parametrize("keep", [4, 7, 23, 30, 100, 1000, 5000, len(WHOLE) - 100])
def test_a_file_that_is_cut_off_says_so(tmp_path: Path, keep: int) -> None:
    expect(tmp_path, "the file is cut off or damaged", WHOLE[:keep])


@pytest.mark.parametrize("at", [8, 16, 24], ids=["tensors", "keys", "length"])
@pytest.mark.parametrize("claim", [2**40, 2**63, 2**64 - 1])
def test_a_huge_claim_costs_nothing(tmp_path: Path, at: int, claim: int) -> None:
    data = bytearray(WHOLE)
    data[at : at + 8] = struct.pack("<Q", claim)
    expect(tmp_path, "the file is cut off or damaged", bytes(data))


@pytest.mark.parametrize("kind", [0, 5, 8, 12])
@pytest.mark.parametrize("claim", [2**40, 2**63, 2**64 - 1])
def test_a_huge_array_costs_nothing(tmp_path: Path, kind: int, claim: int) -> None:
    expect(tmp_path, "too few are left for keys", one_array(kind, claim))


@pytest.mark.parametrize("claim", [93, 2**40, 2**63, 2**64 - 1])
@pytest.mark.parametrize("count", [1, 2])
def test_a_huge_text_in_an_array_costs_nothing(
    tmp_path: Path, claim: int, count: int
) -> None:
    data = bytearray(one_array(kind=8, count=count))
    data[-100:-92] = struct.pack("<Q", claim)  # 92 bytes are left after it
    expect(tmp_path, "too few are left for keys", bytes(data))


def test_a_huge_tensor_costs_nothing(tmp_path: Path) -> None:
    data = gguf({}, {"w": Stored(0, (2**62, 2**62, 2**62, 2**62), bytes(64))})
    expect(tmp_path, "tensor w should end at byte", data)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\xed\xa0"])
def test_text_that_is_not_utf8_is_refused(tmp_path: Path, text: bytes) -> None:
    data = gguf({"k": "QZ", "l": ["QY"]}, {})
    expect(tmp_path, "k is not UTF-8", data.replace(b"QZ", text))
    expect(tmp_path, "l is not UTF-8", data.replace(b"QY", text))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def limited() -> Iterator[None]:
    """A gigabyte above what is mapped now: whoever asks for more gets an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    now = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 30), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def survives(path: Path) -> None:
    """It loads, or it is a ModelError that names the file."""
    try:
        model = load_model(path)
    except ModelError as error:
        told = str(error)
        assert path.name in told
        assert "Not enough memory" not in told
    else:
        assert tiny.LAYERS == len(model.weights.layers)


PLACES = st.integers(0, len(WHOLE) - 1)
HEADER = st.integers(0, 6000)
"""Metadata and names end about there; weights cannot be wrong."""


@pytest.mark.usefixtures("limited")
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(keep=PLACES)
@example(keep=0)
def test_any_truncation_is_a_model_error(folder: Path, keep: int) -> None:
    path = write(folder / "cut.gguf", WHOLE[:keep])
    with pytest.raises(ModelError, match=r"cut\.gguf"):
        load_model(path)


@pytest.mark.usefixtures("limited")
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(HEADER, st.integers(0, 255)), min_size=1, max_size=4))
def test_any_bytes_may_change(folder: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for place, byte in changes:
        data[place] = byte
    survives(write(folder / "flipped.gguf", bytes(data)))


@pytest.mark.usefixtures("limited")
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_may_be_anything(folder: Path, data: st.DataObject) -> None:
    """Well-formed files with odd metadata get further than damaged ones."""
    metadata: dict[str, Any] = tiny.metadata()
    small = st.integers(0, 300) | st.integers(0, 2**32 - 1)
    odd = small | st.floats(width=32) | st.booleans() | st.text(max_size=5)
    lists = st.lists(st.text(max_size=3), max_size=4) | st.lists(
        st.integers(-9, 9), max_size=4
    )
    for key in data.draw(st.lists(st.sampled_from(sorted(metadata)), max_size=3)):
        metadata[key] = data.draw(odd | lists)
    survives(write(folder / "odd.gguf", gguf(metadata, tiny.tensors())))
