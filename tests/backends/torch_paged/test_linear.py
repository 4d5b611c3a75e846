"""Products that agree are found, and those that do not are not used."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fairq_backends.torch_paged import _linear
from fairq_backends.torch_paged._linear import (
    TILE_ROWS,
    ExactLinear,
    agreeing_sizes,
    gated_product,
    product,
)

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def noise(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Tensor:
    made = torch.Generator().manual_seed(rows)
    return torch.randn(rows, columns, generator=made).to(dtype)


WEIGHT = noise(12, 20)


def honest(x: Tensor) -> Tensor:
    """Row by row: nobody has a neighbour."""
    return torch.stack([(row * WEIGHT).sum(-1) for row in x])


def otherwise_from(rows: int) -> Callable[[Tensor], Tensor]:
    """A product that takes another kernel for that many rows and more."""
    return lambda x: honest(x) * (1 + 1e-6 * (len(x) >= rows))


def seeing_places(x: Tensor) -> Tensor:
    """A product whose last bits depend on where in the tile a row is."""
    place = torch.arange(len(x))[:, None] % TILE_ROWS
    return honest(x) * (1 + 1e-6 * place)


@pytest.mark.parametrize(
    ("most_rows", "expected"),
    [(1, (8,)), (8, (8,)), (9, (16, 8)), (100, (128, 64, 32, 16, 8))],
)
def test_all_sizes_agree_when_rows_know_nothing_of_each_other(
    most_rows: int, expected: tuple[int, ...]
) -> None:
    assert expected == agreeing_sizes(honest, WEIGHT, most_rows)


def test_sizes_that_differ_from_the_tile_are_left_out() -> None:
    assert (16, 8) == agreeing_sizes(otherwise_from(32), WEIGHT, 100)
    assert (8,) == agreeing_sizes(otherwise_from(9), WEIGHT, 100)


def test_rows_go_one_by_one_when_even_tiles_see_places() -> None:
    assert (1,) == agreeing_sizes(seeing_places, WEIGHT, 100)
    assert (1,) == agreeing_sizes(seeing_places, WEIGHT, 1)


def test_a_product_is_cut_into_the_sizes_that_agree() -> None:
    asked: list[int] = []

    def multiply(x: Tensor) -> Tensor:
        asked.append(len(x))
        return honest(x)

    exact = ExactLinear(multiply, (32, 16, 8))
    for rows, parts in [(8, [8]), (16, [16]), (32, [32]), (56, [32, 16, 8])]:
        asked.clear()
        x = noise(rows, 20)
        assert torch.equal(honest(x), exact(x))
        assert parts == asked
    asked.clear()
    assert (0, 12) == exact(noise(0, 20)).shape


def test_rows_one_by_one_are_whole_again() -> None:
    x = noise(8, 20)

    assert torch.equal(seeing_places(x[:1]), ExactLinear(seeing_places, (1,))(x)[:1])
    assert torch.equal(honest(x), ExactLinear(seeing_places, (1,))(x))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("packs", [True, False])
def test_products_are_products(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, *, packs: bool
) -> None:
    if not packs:
        monkeypatch.setattr(_linear, "_packs_type", lambda dtype: False)  # noqa: ARG005  # as it is called
    weight, x = noise(34, 40, dtype), noise(9, 40, dtype)
    tolerance = 1e-5 if dtype is torch.float32 else 0.05

    plain = x.double() @ weight.double().T
    gate, up = plain.chunk(2, dim=1)
    gated = gate * gate.sigmoid() * up

    torch.testing.assert_close(
        product(weight)(x).double(), plain, rtol=tolerance, atol=tolerance
    )
    torch.testing.assert_close(
        gated_product(weight)(x).double(), gated, rtol=4 * tolerance, atol=4 * tolerance
    )


def test_a_build_of_torch_without_packed_products_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(weight: Tensor) -> Tensor:
        del weight
        msg = "no kernel for this"
        raise RuntimeError(msg)

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", missing)
    _linear._packs_type.cache_clear()
    try:
        assert not _linear._packs_type(torch.float32)
        x = noise(3, 20)
        assert torch.equal(x @ WEIGHT.T, product(WEIGHT)(x))
    finally:
        _linear._packs_type.cache_clear()
