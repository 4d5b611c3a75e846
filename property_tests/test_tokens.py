"""TokenIds are a list that cannot be changed, of ids in 0..2**31-1."""

import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq import TokenIds, UsageError

ids = st.lists(st.integers(0, 2**31 - 1), max_size=20)
slices = st.builds(
    slice,
    st.none() | st.integers(-25, 25),
    st.none() | st.integers(-25, 25),
    st.none() | st.integers(-4, 4).filter(bool),
)
outside = st.integers(max_value=-1) | st.integers(min_value=2**31)
no_integers = st.one_of(
    st.none(), st.floats(), st.text(), st.fractions(), st.binary(), st.complex_numbers()
)


@given(ids)
def test_they_are_the_ids_they_were_made_of(values: list[int]) -> None:
    tokens = TokenIds(values)

    assert values == list(tokens)
    assert len(values) == len(tokens)
    assert bool(values) == bool(tokens)
    assert values == [tokens[index] for index in range(len(values))]
    assert values == [tokens[index - len(values)] for index in range(len(values))]
    assert values[::-1] == list(reversed(tokens))
    assert values == tokens.view.tolist()
    assert ("i", True) == (tokens.view.format, tokens.view.readonly)
    assert 4 * len(values) == len(tokens.raw)


@given(ids, st.integers(-25, 25))
def test_an_index_outside_is_an_error_as_with_a_list(
    values: list[int], index: int
) -> None:
    if -len(values) <= index < len(values):
        assert values[index] == TokenIds(values)[index]
    else:
        with pytest.raises(IndexError):
            TokenIds(values)[index]


@given(ids, slices)
def test_slices_are_those_of_a_list(values: list[int], where: slice) -> None:
    part = TokenIds(values)[where]

    assert isinstance(part, TokenIds)
    assert values[where] == list(part)
    assert TokenIds(values[where]) == part


@given(ids, slices, slices)
def test_slices_of_slices_are_those_of_a_list(
    values: list[int], one: slice, two: slice
) -> None:
    assert values[one][two] == list(TokenIds(values)[one][two])


@given(ids, ids)
def test_equal_ids_are_equal_and_hash_alike(one: list[int], two: list[int]) -> None:
    assert (one == two) == (TokenIds(one) == TokenIds(two))
    assert TokenIds(one) == TokenIds(tuple(one))
    assert hash(TokenIds(one)) == hash(TokenIds(iter(one)))
    assert {TokenIds(one): 1}[TokenIds(one)] == 1
    assert TokenIds(one) != one


@given(ids, st.integers(0, 2**31 - 1))
def test_they_are_searched_like_a_list(values: list[int], wanted: int) -> None:
    tokens = TokenIds(values)

    for value in [wanted, *values]:
        assert (value in values) == (value in tokens)
        assert values.count(value) == tokens.count(value)
        if value in values:
            assert values.index(value) == tokens.index(value)


@given(ids)
def test_they_survive_pickling_and_sharing(values: list[int]) -> None:
    tokens = TokenIds(values)

    assert tokens == pickle.loads(pickle.dumps(tokens))  # noqa: S301  # our own bytes
    assert tokens.raw is TokenIds(tokens).raw
    assert tokens == TokenIds.from_raw(tokens.raw)


@given(ids)
def test_the_repr_can_be_read_back_or_says_how_many(values: list[int]) -> None:
    text = repr(TokenIds(values))

    if len(values) <= 8:
        assert f"TokenIds({values})" == text
    else:
        shown = ", ".join(map(str, values[:6]))
        assert f"TokenIds([{shown}, ...], {len(values)} tokens)" == text


# --- what they are not --------------------------------------------------------------


@given(ids, outside, st.integers(0, 20))
def test_an_id_outside_is_refused_wherever_it_stands(
    values: list[int], wrong: int, where: int
) -> None:
    values.insert(where, wrong)

    with pytest.raises(UsageError, match=r"0\.\.2\*\*31-1"):
        TokenIds(values)


@given(ids, st.integers(-(2**31), -1), st.integers(0, 20))
def test_a_negative_id_is_named(values: list[int], wrong: int, where: int) -> None:
    values.insert(where, wrong)

    with pytest.raises(UsageError, match=f"got {wrong}"):
        TokenIds(values)


@given(ids, no_integers, st.integers(0, 20))
def test_what_is_no_integer_is_refused_wherever_it_stands(
    values: list[int], wrong: object, where: int
) -> None:
    mixed: list[object] = [*values]
    mixed.insert(where, wrong)

    with pytest.raises(UsageError, match="must be integers"):
        TokenIds(mixed)  # type: ignore[arg-type]  # that is what is wrong


@given(st.one_of(st.integers(), st.none(), st.text(), st.binary(), st.fractions()))
def test_what_is_no_iterable_of_integers_is_refused(
    wrong: int | str | bytes | Fraction | None,
) -> None:
    with pytest.raises(UsageError):
        TokenIds(wrong)  # type: ignore[arg-type]  # that is what is wrong
