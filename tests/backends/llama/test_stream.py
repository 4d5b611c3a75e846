"""Text that comes token by token is the text that comes at once."""

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import decoders, models

from fairq_backends.llama import TextStream
from fairq_backends.llama._stream import MOST_HELD
from tests.backends.llama.test_tokenizer import TINY


def streamed(ids: list[int]) -> str:
    stream = TINY.text_stream()
    return "".join(map(stream.push, ids)) + stream.end()


@given(st.text())
@example("naïve 👩‍👩‍👧 \N{REPLACEMENT CHARACTER} 漢字")
def test_any_text_in_pieces_is_the_text(text: str) -> None:
    assert text == streamed(TINY.encode(text))


@given(st.lists(st.integers(0, 258), max_size=MOST_HELD - 2))
def test_any_ids_in_pieces_are_what_they_are_at_once(ids: list[int]) -> None:
    assert TINY.decode(ids) == streamed(ids)


def test_half_a_character_waits_for_the_other_half() -> None:
    stream = TINY.text_stream()
    first, second = TINY.encode("é")
    assert ["", "é", ""] == [stream.push(first), stream.push(second), stream.end()]


def test_half_a_character_at_the_end_is_shown_as_missing() -> None:
    stream = TINY.text_stream()
    assert "" == stream.push(TINY.encode("é")[0])
    assert "\N{REPLACEMENT CHARACTER}" == stream.end()
    assert "" == stream.end()


def test_whole_characters_before_half_a_one_do_not_wait() -> None:
    stream = TINY.text_stream()
    a, first, _ = TINY.encode("aé")
    assert ["a", ""] == [stream.push(a), stream.push(first)]


def test_special_tokens_give_no_text() -> None:
    stream = TINY.text_stream()
    assert ["", "he", ""] == [stream.push(token) for token in (257, 258, 256)]


def test_bytes_that_never_become_text_are_not_held_for_ever() -> None:
    stream = TINY.text_stream()
    byte = TINY.encode("é")[1]  # goes on a character that never began
    given_out = [stream.push(byte) for _ in range(3 * MOST_HELD)]
    assert 2 * MOST_HELD <= len("".join(given_out))
    assert 3 * MOST_HELD == len("".join(given_out) + stream.end())


@pytest.mark.parametrize("length", [1000, 20_000])
def test_the_work_per_token_does_not_grow_with_the_text(length: int) -> None:
    decoded = list[int]()

    def decode(ids: object) -> str:
        assert isinstance(ids, list)
        decoded.append(len(ids))
        return TINY.decode(ids)

    stream = TextStream(decode, frozenset())
    for token in TINY.encode("ab " * (length // 3)):
        stream.push(token)
    assert 2 >= max(decoded)


def sentencepiece() -> tokenizers.Tokenizer:
    """As Llama 2 has it: a mark for each space, and bytes for what is no token."""
    tokens = ["▁the", "▁cat", "s", "▁", "<0xE2>", "<0x82>", "<0xAC>", "</s>"]
    found = tokenizers.Tokenizer(
        models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[])
    )
    found.add_special_tokens(["</s>"])
    found.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return found


EURO = [4, 5, 6]


@pytest.mark.parametrize(
    "ids", [[0, 1, 2, 0], [3, 3, 1], EURO, [0, *EURO, *EURO, 1], [1, 4, 5]], ids=str
)
def test_decoders_that_look_at_neighbours_stream_too(ids: list[int]) -> None:
    decode = sentencepiece().decode
    stream = TextStream(decode, frozenset())
    parts = [stream.push(token) for token in ids]
    assert decode(ids) == "".join(parts) + stream.end()


def test_a_word_after_a_special_token_keeps_its_space() -> None:
    decode = sentencepiece().decode
    stream = TextStream(decode, frozenset({7}))
    assert "the cat" == decode([0, 7, 1])
    assert ["the", "", " cat"] == [stream.push(it) for it in (0, 7, 1)]


def test_a_space_comes_with_its_word() -> None:
    stream = TextStream(sentencepiece().decode, frozenset())
    assert ["the", " cat", "s", " the"] == [stream.push(it) for it in (0, 1, 2, 0)]
