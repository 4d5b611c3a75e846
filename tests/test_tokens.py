import pickle

import pytest

from fairq import TokenIds, UsageError

IDS = [0, 1, 2**31 - 1, 7, 7, 300, 65_536, 16_777_216]


def test_what_goes_in_comes_out() -> None:
    assert IDS == list(TokenIds(IDS))


def test_it_is_as_long_as_its_ids() -> None:
    assert len(IDS) == len(TokenIds(IDS))
    assert len(TokenIds([])) == 0


def test_a_token_takes_four_bytes() -> None:
    assert 4 * len(IDS) == len(TokenIds(IDS).raw)


@pytest.mark.parametrize("index", [*range(8), -1, -8])
def test_an_index_means_what_it_means_for_a_list(index: int) -> None:
    assert IDS[index] == TokenIds(IDS)[index]


@pytest.mark.parametrize("index", [8, -9])
def test_an_index_outside_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        TokenIds(IDS)[index]


@pytest.mark.parametrize("start", [None, 0, 2, -3, 9])
@pytest.mark.parametrize("stop", [None, 0, 5, -1, 9])
@pytest.mark.parametrize("step", [None, 1, 2, -1])
def test_a_slice_means_what_it_means_for_a_list(
    start: int | None, stop: int | None, step: int | None
) -> None:
    part = slice(start, stop, step)
    assert TokenIds(IDS[part]) == TokenIds(IDS)[part]


def test_equality_and_hash_follow_the_ids() -> None:
    assert TokenIds([1, 2]) == TokenIds([1, 2])
    assert hash(TokenIds([1, 2])) == hash(TokenIds([1, 2]))
    assert TokenIds([1, 2]) != TokenIds([2, 1])


def test_it_is_never_equal_to_a_list() -> None:
    same: object = [1, 2]
    assert TokenIds([1, 2]) != same


def test_it_behaves_as_a_sequence() -> None:
    ids = TokenIds(IDS)
    assert 300 in ids
    assert 301 not in ids
    assert ids.index(300) == 5
    assert ids.count(7) == 2
    assert IDS[::-1] == list(reversed(ids))


def test_wrapping_again_shares_the_bytes() -> None:
    ids = TokenIds(IDS)
    assert ids.raw is TokenIds(ids).raw


def test_raw_bytes_are_wrapped_without_a_copy() -> None:
    raw = TokenIds(IDS).raw
    assert raw is TokenIds.from_raw(raw).raw


def test_the_view_is_read_only_int32() -> None:
    view = TokenIds(IDS).view
    assert view.format == "i"
    assert view.readonly
    assert view.tolist() == IDS


def test_it_survives_pickling() -> None:
    ids = TokenIds(IDS)
    assert ids == pickle.loads(pickle.dumps(ids))  # noqa: S301  # our own bytes


def test_a_short_repr_shows_all_and_a_long_one_says_how_many() -> None:
    assert repr(TokenIds([1, 2, 3])) == "TokenIds([1, 2, 3])"
    long = repr(TokenIds(range(100)))
    assert long == "TokenIds([0, 1, 2, 3, 4, 5, ...], 100 tokens)"


def test_attributes_cannot_be_invented() -> None:
    with pytest.raises(AttributeError):
        TokenIds([1]).colour = "red"  # type: ignore[attr-defined]  # refusal is the test


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_negative_id_is_found_wherever_it_is(position: int) -> None:
    ids = [1, 2, 3]
    ids[position] = -5
    with pytest.raises(UsageError, match="got -5"):
        TokenIds(ids)


@pytest.mark.parametrize("bad", [-1, -(2**31), 2**31, 2**40, 1.0, "1", None, [1]])
def test_what_is_no_token_id_is_refused(bad: object) -> None:
    with pytest.raises(UsageError, match="Token ids must be integers"):
        TokenIds([1, bad])  # type: ignore[list-item]  # wrong types are the test


@pytest.mark.parametrize("text", ["abc", b"abcd", ""])
def test_text_is_not_taken_for_token_ids(text: object) -> None:
    with pytest.raises(UsageError, match=f"got {type(text).__name__}"):
        TokenIds(text)  # type: ignore[arg-type]  # wrong types are the test
