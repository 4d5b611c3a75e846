"""Tokenizers built from GGUF metadata.

Byte-level BPE as in llama.cpp: how a text is cut before merging has a name there
(``tokenizer.ggml.pre``), and only names whose rules are here are accepted.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer

from fairq_backends.llama._fields import Fields
from fairq_backends.llama._template import ChatTemplate
from fairq_backends.llama._tokenizer import Tokenizer

KEYS: Final = "tokenizer.ggml."
CONTROL: Final = 3
USER_DEFINED: Final = 4
LLAMA3_WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3 cuts words; from its tokenizer.json."""


def _gpt2() -> PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _smollm() -> PreTokenizer:
    # Each digit alone, also those of other scripts, and then as GPT-2.
    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, _gpt2()])


def _llama3() -> PreTokenizer:
    words = pre_tokenizers.Split(Regex(LLAMA3_WORDS), behavior="isolated")
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([words, plain])


PRE: Final[Mapping[str, Callable[[], PreTokenizer]]] = {
    "gpt-2": _gpt2,
    "smollm": _smollm,
    "llama-bpe": _llama3,
}
WHOLE_WORDS_FIRST: Final = ("llama-bpe",)
"""Where a word that is a token is taken without merging. These also begin with bos."""


def gguf_tokenizer(path: Path, values: Mapping[str, object]) -> Tokenizer | None:
    """The tokenizer in a GGUF file's metadata; None if it has none.

    Raises:
        ModelError: it is of another kind, or inconsistent.
    """
    fields = Fields(path, values)
    if KEYS + "model" not in values:
        return None
    kind = fields.text(KEYS + "model")
    if kind != "gpt2":
        fields.refuse(f"tokenizer {kind!r} is not known, only 'gpt2' (byte-level BPE)")
    pre = fields.text(KEYS + "pre")
    if pre not in PRE:
        known = ", ".join(PRE)
        fields.refuse(f"tokenizer.ggml.pre {pre!r} is not known; known are {known}")
    tokens = fields.texts(KEYS + "tokens")
    backend = _byte_level(fields, tokens, pre)
    ids = {name: _token_id(fields, name, len(tokens)) for name in ("bos", "eos", "eot")}
    begins = fields.flag(KEYS + "add_bos_token", default=pre in WHOLE_WORDS_FIRST)
    ends = [ids[name] for name in ("eos", "eot")]
    return Tokenizer(
        path=path,
        backend=backend,
        eos=tuple(dict.fromkeys(it for it in ends if it is not None)),
        bos=ids["bos"] if begins else None,
        template=_gguf_template(fields, tokens, ids),
    )


def _byte_level(fields: Fields, tokens: list[str], pre: str) -> tokenizers.Tokenizer:
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens) or not tokens:
        fields.refuse("the tokens of the tokenizer are not distinct, or there are none")
    merges = [_merge(fields, text) for text in fields.texts(KEYS + "merges")]
    kinds = fields.ids(KEYS + "token_type") or (1,) * len(tokens)
    if len(kinds) != len(tokens):
        fields.refuse(f"{len(tokens)} tokens have {len(kinds)} types")
    try:
        backend = tokenizers.Tokenizer(
            models.BPE(
                vocab=vocabulary,
                merges=merges,
                ignore_merges=pre in WHOLE_WORDS_FIRST,
            )
        )
    # The package raises plain exceptions, for instance for a merge of unknown tokens.
    except Exception as error:  # noqa: BLE001  # refuse() raises
        fields.refuse(f"the tokenizer cannot be built: {error}")
    backend.pre_tokenizer = PRE[pre]()
    backend.decoder = decoders.ByteLevel()
    pairs = list(zip(tokens, kinds, strict=True))
    backend.add_special_tokens([_added(t) for t, kind in pairs if kind == CONTROL])
    backend.add_tokens([_added(t) for t, kind in pairs if kind == USER_DEFINED])
    return backend


def _added(token: str) -> AddedToken:
    return AddedToken(token, normalized=False)


def _merge(fields: Fields, text: str) -> tuple[str, str]:
    left, space, right = text.partition(" ")
    if not (left and space and right):
        fields.refuse(f"{text!r} in tokenizer.ggml.merges is not a pair of tokens")
    return left, right


def _token_id(fields: Fields, name: str, count: int) -> int | None:
    found = fields.ids(f"{KEYS}{name}_token_id")
    if found and not 0 <= found[0] < count:
        fields.refuse(f"{name} is token {found[0]}, and the tokenizer has {count}")
    return found[0] if found else None


def _gguf_template(
    fields: Fields, tokens: list[str], ids: Mapping[str, int | None]
) -> ChatTemplate | None:
    if "tokenizer.chat_template" not in fields.values:
        return None
    known = {name: number for name, number in ids.items() if number is not None}
    return ChatTemplate(
        path=fields.path,
        source=fields.text("tokenizer.chat_template"),
        names={f"{name}_token": tokens[number] for name, number in known.items()},
    )
