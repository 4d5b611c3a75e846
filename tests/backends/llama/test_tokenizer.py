"""Text to ids and back, for tokenizers of both kinds of files."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq import UsageError
from fairq_backends.llama import ModelError, Tokenizer
from fairq_backends.llama._bpe import gguf_tokenizer
from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._hf_tokenizer import hf_tokenizer
from tests.backends.llama import _tiny as tiny

CONFIG = LlamaConfig(
    vocab_size=300,
    hidden_size=32,
    intermediate_size=40,
    layers=1,
    heads=2,
    kv_heads=1,
    head_dim=8,
    eos=(256,),
    bos=257,
)
USER = [{"role": "user", "content": "hi"}]


def tokenizer(**changes: Any) -> Tokenizer:  # noqa: ANN401  # passed on
    found = gguf_tokenizer(Path("tiny.gguf"), tiny.metadata(**changes))
    assert found is not None
    return found


TINY = tokenizer()
WITH_BOS = tokenizer(tokenizer__ggml__add_bos_token=True)


def in_folder(path: Path, **changes: object) -> Path:
    """The same tokenizer as a Hugging Face folder has it."""
    TINY.backend.save(str(path / "tokenizer.json"))
    config = {
        "bos_token": "<|begin|>",
        "eos_token": {"content": "<|end|>", "special": True},
        "chat_template": tiny.TEMPLATE,
        **changes,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


def loaded(path: Path) -> Tokenizer:
    found = hf_tokenizer(path, CONFIG)
    assert found is not None
    return found


# --- encode and decode ----------------------------------------------------------------


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    assert text == TINY.decode(TINY.encode(text))


def test_merges_are_applied() -> None:
    assert [258, *TINY.encode("l")] == TINY.encode("hel")
    assert 2 == len(TINY.encode("eh"))


def test_special_tokens_in_a_text_are_tokens_and_not_text() -> None:
    assert [257, 258, 256] == TINY.encode("<|begin|>he<|end|>")
    assert "he" == TINY.decode([257, 258, 256])


def test_nothing_is_put_before_a_text_unless_the_model_says_so() -> None:
    assert [] == TINY.encode("")
    assert [257] == WITH_BOS.encode("")
    assert [257, 258] == WITH_BOS.encode("he")


def test_a_prompt_that_begins_with_bos_gets_no_second_one() -> None:
    assert [257, 258] == WITH_BOS.encode("<|begin|>he")


def test_a_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(UsageError, match="This text cannot be encoded"):
        TINY.encode("half a pair: \ud800")


@pytest.mark.parametrize("token", [-1, 2**40])
def test_ids_that_are_no_ids_are_refused(token: int) -> None:
    with pytest.raises(UsageError, match="whole numbers from 0 up"):
        TINY.decode([token])


def test_ids_without_a_text_are_skipped() -> None:
    assert "he" == TINY.decode([258, 299, 258 + 10_000])


def test_sizes_and_ends_are_those_of_the_file() -> None:
    assert tiny.VOCABULARY == TINY.vocab_size
    assert (256,) == TINY.eos
    assert (256, 3) == tokenizer(tokenizer__ggml__eot_token_id=3).eos


@pytest.mark.parametrize("name", ["bos", "eos", "eot"])
def test_an_id_that_the_tokenizer_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} is token 259, and the tokenizer has"):
        tokenizer(**{f"tokenizer__ggml__{name}_token_id": 259})


def test_a_file_without_a_tokenizer_has_none() -> None:
    assert gguf_tokenizer(Path("a"), {}) is None


def test_tokens_that_users_defined_are_kept_whole_and_shown() -> None:
    values = tiny.metadata()
    kinds = list(values["tokenizer.ggml.token_type"])  # type: ignore[call-overload]  # a list of numbers
    kinds[256] = 4
    found = tokenizer(tokenizer__ggml__token_type=kinds)
    assert [258, 256] == found.encode("he<|end|>")
    assert "he<|end|>" == found.decode([258, 256])


# --- how words are cut ----------------------------------------------------------------


def pieces(pre: str, text: str) -> list[str]:
    cut = tokenizer(tokenizer__ggml__pre=pre).backend.pre_tokenizer
    return [text[first:last] for _, (first, last) in cut.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("pre", "expected"),
    [
        ("gpt-2", "It|'s| 2024| ٣٤|,| I|'|LL|  | go|\r\n"),
        ("smollm", "It|'s| |2|0|2|4| |٣|٤|,| I|'|LL|  | go|\r\n"),
        ("llama-bpe", "It|'s| |202|4| |٣٤|,| I|'LL|  | go|\r\n"),
    ],
)
def test_words_are_cut_as_the_name_says(pre: str, expected: str) -> None:
    assert expected.split("|") == pieces(pre, "It's 2024 ٣٤, I'LL   go\r\n")


def test_llama3_begins_with_bos_when_the_file_does_not_say() -> None:
    silent = {"tokenizer__ggml__add_bos_token": "absent"}
    assert [257, 258] == tokenizer(tokenizer__ggml__pre="llama-bpe", **silent).encode(
        "he"
    )
    assert [258] == tokenizer(**silent).encode("he")


# --- folders --------------------------------------------------------------------------


def test_a_folder_gives_the_same_tokenizer(tmp_path: Path) -> None:
    found = loaded(in_folder(tmp_path))
    text = "he said <|begin|>ü 12"
    assert TINY.encode(text) == found.encode(text)
    assert (256,) == found.eos
    assert TINY.chat(USER) == found.chat(USER)
    assert tmp_path / "tokenizer.json" == found.path


def test_a_folder_says_whether_texts_begin_with_bos(tmp_path: Path) -> None:
    assert [258] == loaded(in_folder(tmp_path)).encode("he")
    told = in_folder(tmp_path, add_bos_token=True)
    assert [257, 258] == loaded(told).encode("he")


def test_a_tokenizer_that_adds_bos_by_itself_is_asked(tmp_path: Path) -> None:
    path = in_folder(tmp_path) / "tokenizer.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    begin = {"SpecialToken": {"id": "<|begin|>", "type_id": 0}}
    values["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {
            "<|begin|>": {"id": "<|begin|>", "ids": [257], "tokens": ["<|begin|>"]}
        },
    }
    path.write_text(json.dumps(values))
    assert [257, 258] == loaded(tmp_path).encode("he")


def test_truncation_in_a_file_does_not_shorten_prompts(tmp_path: Path) -> None:
    path = in_folder(tmp_path) / "tokenizer.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["truncation"] = {
        "direction": "Right",
        "max_length": 3,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    path.write_text(json.dumps(values))
    assert 10 == len(loaded(tmp_path).encode("x" * 10))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"model": {"type": "Odd"}}'])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read") as caught:
        hf_tokenizer(tmp_path, CONFIG)
    assert tmp_path / "tokenizer.json" == caught.value.path


def test_a_sentencepiece_file_alone_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"")
    with pytest.raises(ModelError, match=r"tokenizer\.model is not read"):
        hf_tokenizer(tmp_path, CONFIG)


# --- chat -----------------------------------------------------------------------------


def test_chat_is_the_rendered_template() -> None:
    assert "<|begin|>user: hi<|end|><|begin|>assistant: " == TINY.chat(USER)


def test_a_model_without_a_template_says_so() -> None:
    with pytest.raises(ModelError, match=r"tiny\.gguf has no chat template"):
        tokenizer(tokenizer__chat_template="absent").chat(USER)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{{ raise_exception('roles must alternate') }}",
            "failed: roles must alternate$",
        ),
        ("{% if %}", "failed: Expected an expression"),
        ("{{ messages[7].role }}", "failed: .* has no element 7"),
        ("{{ 1 / 0 }}", "failed: division by zero"),
        ("{{ messages.append(1) }}", "failed: access to attribute 'append' .*unsafe"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "failed: .*unsafe"),
        ("{{ messages[0]['content'] + 1 }}", "failed: can only concatenate"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", "failed: Range too big"),
        ("{{ 'x'.join(3) }}", "failed: can only join an iterable|failed: .*not iter"),
        ("{{ int('x') }}", "failed: 'int' is undefined"),
    ],
)
def test_a_template_that_fails_is_a_model_error(template: str, message: str) -> None:
    broken = tokenizer(tokenizer__chat_template=template)
    with pytest.raises(
        ModelError,
        match=rf"^The chat template of tiny\.gguf {message}",
    ):
        broken.chat(USER)


def test_templates_may_use_what_those_of_hugging_face_use() -> None:
    template = (
        "{%- for m in messages %}\n"
        "    {%- if loop.index0 == 1 %}{% break %}{% endif %}\n"
        "    {{- {'a': m.content} | tojson }}\n"
        "{%- endfor %}{{ bos_token }}"
    )
    found = tokenizer(tokenizer__chat_template=template)
    messages = [{"role": "user", "content": "<ü>"}, *USER]
    assert '{"a": "<ü>"}<|begin|>' == found.chat(messages)


def test_lines_that_hold_only_a_statement_leave_nothing_behind() -> None:
    template = "{% if true %}\nyes\n  {% endif %}\nend"
    assert "yes\nend" == tokenizer(tokenizer__chat_template=template).chat(USER)


def test_a_template_in_a_file_of_its_own_comes_first(tmp_path: Path) -> None:
    in_folder(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("from the file")
    assert "from the file" == loaded(tmp_path).chat(USER)


def test_of_several_templates_the_default_is_taken(tmp_path: Path) -> None:
    named = [
        {"name": "tool_use", "template": "tools"},
        {"name": "default", "template": "plain"},
    ]
    assert "plain" == loaded(in_folder(tmp_path, chat_template=named)).chat(USER)
    in_folder(tmp_path, chat_template=named[:1])
    with pytest.raises(ModelError, match="must be the default"):
        hf_tokenizer(tmp_path, CONFIG)
