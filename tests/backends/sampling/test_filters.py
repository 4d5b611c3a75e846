"""Top-k and top-p keep the set that a sort by hand keeps."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fairq_backends.sampling import kept_tokens


def by_hand(row: list[float], top_k: int, top_p: float) -> list[bool]:
    """The definition: sort by likelihood, then id; cut after k; cut at the mass."""
    order = sorted(range(len(row)), key=lambda id_: (-row[id_], id_))
    order = order[: top_k or len(row)]
    mass = [math.exp(row[id_]) for id_ in order]
    count = len(order)
    if top_p < 1:
        sums = [math.fsum(mass[: n + 1]) for n in range(count)]
        count = next(n for n, each in enumerate(sums, 1) if each >= top_p * sums[-1])
    return [id_ in order[:count] for id_ in range(len(row))]


def kept(
    rows: list[list[float]], top_k: list[int], top_p: list[float], head: int = 1024
) -> list[list[bool]]:
    scaled = torch.tensor(rows)
    found: list[list[bool]] = kept_tokens(
        scaled, torch.tensor(top_k), torch.tensor(top_p), head=head
    ).tolist()
    return found


# Halves of one another: sums are exact, and no rounding decides at an edge.
HALVES = [0.0] + [math.log(2) * -n for n in range(1, 8)]


@given(data=st.data())
@settings(deadline=None)
def test_the_set_is_that_of_the_definition_for_any_head(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 12))
    levels = st.sampled_from([*HALVES, -math.inf])
    row = data.draw(
        st.permutations(
            [0.0, *data.draw(st.lists(levels, min_size=width - 1, max_size=width - 1))]
        )
    )
    top_k = data.draw(st.integers(0, 15))
    # Thresholds away from multiples of a weight, where rounding would decide.
    top_p = data.draw(st.sampled_from([0.0, 0.013, 0.1303, 0.377, 0.613, 0.917, 1.0]))
    head = data.draw(st.integers(1, 13))

    expected = by_hand(row, top_k, top_p)

    assert [expected] == kept([row], [top_k], [top_p], head)


def test_equal_tokens_are_kept_from_the_lowest_id() -> None:
    row = [-1.0, 0.0, 0.0, -1.0, 0.0, -1.0]

    assert [[False, True, True, False, False, False]] == kept([row], [2], [1.0])
    assert [[True, True, True, False, True, False]] == kept([row], [4], [1.0])
    assert [[False, True, False, False, False, False]] == kept([row], [0], [0.0])
    # Three of weight 1 and three of weight 0.37: 45 % of the mass are two of the first.
    assert [[False, True, True, False, False, False]] == kept([row], [0], [0.45])


def test_the_smallest_set_that_reaches_the_mass_is_kept() -> None:
    quarters = [math.log(each) for each in (1.0, 0.5, 0.25, 0.25)]

    assert [[True, False, False, False]] == kept([quarters], [0], [0.5])
    assert [[True, True, False, False]] == kept([quarters], [0], [0.51])
    assert [[True, True, True, False]] == kept([quarters], [0], [0.76])


def test_top_p_is_of_what_top_k_leaves() -> None:
    quarters = [math.log(each) for each in (1.0, 0.5, 0.25, 0.25)]

    # Of 1.5, half is 0.75: the first token alone has more.
    assert [[True, False, False, False]] == kept([quarters], [2], [0.5])
    assert [[True, True, False, False]] == kept([quarters], [2], [0.99])


def random_rows(count: int, width: int) -> Tensor:
    made = torch.Generator().manual_seed(1)
    rows = torch.randn(count, width, generator=made) * 3
    return rows - rows.amax(dim=1, keepdim=True)


@pytest.mark.parametrize("head", [1, 8, 64, 5000])
def test_the_head_is_only_a_matter_of_time(head: int) -> None:
    scaled = random_rows(40, 5000)
    top_k = torch.arange(40) * 7 % 90
    top_p = torch.linspace(0.05, 1, 40)

    whole = kept_tokens(scaled, top_k, top_p, head=5000)

    assert torch.equal(whole, kept_tokens(scaled, top_k, top_p, head=head))


def test_a_row_keeps_the_same_set_in_any_company() -> None:
    scaled = random_rows(30, 3000)
    top_k = torch.arange(30) * 11 % 50
    top_p = torch.linspace(0.5, 0.999, 30)
    whole = kept_tokens(scaled, top_k, top_p)

    alone = [
        kept_tokens(scaled[n : n + 1], top_k[n : n + 1], top_p[n : n + 1])
        for n in range(30)
    ]

    assert torch.equal(whole, torch.cat(alone))
