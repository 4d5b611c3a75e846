"""``fairq generate``: text as it comes, an exact report, every refusal in one line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairq.cli import _text
from tests.cli.conftest import Cli
from tests.cli.fakes import FakeModel, FakeText

FAKE = ("generate", "--backend", "fake")
PLAIN = (*FAKE, "--model", "plain.gguf")


def only() -> FakeText:
    (backend,) = FakeText.made
    return backend


Report = Callable[..., dict[str, Any]]
"""Generates and returns the JSON report."""


@pytest.fixture
def report(cli: Cli, tmp_path: Path) -> Report:
    def run(*arguments: str | Path) -> dict[str, Any]:
        path = tmp_path / "out.json"
        ran = cli(*arguments, "--json", path)
        assert ran.code == 0, ran.err
        return dict(json.loads(path.read_text()))

    return run


@pytest.mark.usefixtures("plain")
def test_the_text_is_on_stdout_and_the_speed_on_stderr(cli: Cli) -> None:
    ran = cli(*PLAIN, "--prompt", "abc", "--max-tokens", "5")
    assert (0, "tuvtu\n") == (ran.code, ran.out)
    assert ran.err.startswith("5 tokens in 0.0")
    assert ran.err.endswith(" tokens/s\n")
    assert ran.err.count("\n") == 1


@pytest.mark.usefixtures("plain")
def test_every_piece_is_flushed_when_it_is_there(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[str]()
    monkeypatch.setattr(sys.stdout, "write", calls.append)
    monkeypatch.setattr(sys.stdout, "flush", lambda: calls.append("flush"))
    assert cli(*PLAIN, "--prompt", "abc", "--max-tokens", "5").code == 0
    assert ["tu", "flush", "vt", "flush", "u", "flush", "\n", "flush"] == calls[:8]


@pytest.mark.usefixtures("plain")
def test_the_report_has_exactly_the_documented_keys(report: Report) -> None:
    made = report(*PLAIN, "--prompt", "abc", "--max-tokens", "3")
    assert made.pop("tokens_per_s") > 0
    top = [(116, 0.0), (115, -0.5), (117, -0.5), (114, -1.0), (118, -1.0)]
    assert {
        "prompt_ids": [97, 98, 99],
        "generated_ids": [116, 117, 118],
        "text": "tuv",
        "first_step_top5": [{"id": each, "logit": logit} for each, logit in top],
    } == made


@pytest.mark.usefixtures("plain")
def test_one_token_has_no_speed(report: Report, cli: Cli) -> None:
    arguments = (*PLAIN, "--prompt", "abc", "--max-tokens", "1")
    assert report(*arguments)["tokens_per_s"] is None
    assert "tokens/s" not in cli(*arguments).err


@pytest.mark.usefixtures("plain")
def test_an_end_token_is_in_the_ids_and_not_in_the_text(report: Report) -> None:
    made = report(*FAKE, "--model", "short", "--prompt", "abc")
    assert ([116, 117, 0], "tu") == (made["generated_ids"], made["text"])


@pytest.mark.usefixtures("plain")
def test_a_chat_goes_through_the_template(report: Report) -> None:
    made = report(*PLAIN, "--chat", "Hi", "--max-tokens", "1")
    assert "<user>Hi<assistant>" == "".join(map(chr, made["prompt_ids"]))


@pytest.mark.usefixtures("plain")
def test_a_model_without_a_tokenizer_takes_ids_and_prints_ids(
    cli: Cli, report: Report
) -> None:
    mute = (*FAKE, "--model", "mute", "--prompt-ids", "97, 98", "--max-tokens", "3")
    assert "116,117,116\n" == cli(*mute).out
    made = report(*mute)
    assert ([97, 98], None) == (made["prompt_ids"], made["text"])


@pytest.mark.usefixtures("plain")
def test_ids_for_a_model_with_a_tokenizer_print_text(cli: Cli) -> None:
    arguments = (*PLAIN, "--prompt-ids", "97,98", "--max-tokens", "2")
    assert "tu\n" == cli(*arguments).out


@pytest.mark.usefixtures("plain")
def test_the_backend_gets_what_was_asked_for_and_nothing_else(cli: Cli) -> None:
    cli(*PLAIN, "--prompt", "abc")
    cli(*PLAIN, "--prompt", "abc", "--dtype", "bfloat16", "--mode", "fast")
    first, second = (backend.options for backend in FakeText.made)
    assert {"dtype": "float32", "mode": "exact", "keep_logits": True} == first
    assert {"dtype": "bfloat16", "mode": "fast", "keep_logits": True} == second
    assert [[None], [None]] == [backend.sampling for backend in FakeText.made]


@pytest.mark.usefixtures("plain")
def test_sampling_is_handed_on_as_it_was_asked_for(cli: Cli) -> None:
    drawn = ("--temperature", "0.5", "--top-k", "4", "--top-p", "0.9", "--seed", "7")
    cli(*PLAIN, "--prompt", "abc", *drawn)
    expected = {"temperature": 0.5, "top_k": 4, "top_p": 0.9, "seed": 7}
    assert [expected] == only().sampling


def test_a_published_model_is_fetched_once_and_its_file_is_loaded(
    cli: Cli, plain: FakeModel
) -> None:
    for _ in range(2):
        assert cli(*FAKE, "--model", "plain", "--prompt", "abc").code == 0
    assert 1 == plain.pulled
    assert ["plain", "plain"] == [backend.model_name for backend in FakeText.made]


# --- what goes wrong ------------------------------------------------------------------

A = ("--prompt", "a")

WRONG = {
    "no prompt": ((), "--prompt --prompt-ids --chat is required"),
    "two prompts": ((*A, "--chat", "b"), "not allowed with argument --prompt"),
    "empty prompt": (("--prompt", ""), "argument --prompt: expected a text"),
    "empty chat": (("--chat", ""), "argument --chat: expected a text"),
    "a prompt of no tokens": (("--prompt", "\u00e9"), "makes no token of '\u00e9'"),
    "no ids": (("--prompt-ids", ""), "such as 1,2,3, each in 0..2**31-1; got ''"),
    "ids in words": (("--prompt-ids", "1,b"), "got 'b'"),
    "negative id": (("--prompt-ids=-1",), "got '-1'"),
    "an id of 33 bits": (("--prompt-ids", "4294967296"), "got '4294967296'"),
    "an id beyond the vocabulary": (
        ("--prompt-ids", "1,128"),
        "Request 0 needs token ids below 128.",
    ),
    "a prompt that the backend refuses": (
        (*A, "--model", "narrow"),
        "The prompt of 1 tokens does not fit.",
    ),
    "no tokens": ((*A, "--max-tokens", "0"), "a whole number >= 1 (tokens), got '0'"),
    "too many tokens": ((*A, "--max-tokens", "1025"), "the backend has 64"),
    "unknown dtype": ((*A, "--dtype", "int8"), "invalid choice: 'int8'"),
    "unknown mode": ((*A, "--mode", "faster"), "invalid choice: 'faster'"),
    "negative temperature": ((*A, "--temperature=-1"), "a number >= 0, got '-1'"),
    "half a k": ((*A, "--top-k", "0.5"), "got '0.5'"),
    "p above one": ((*A, "--top-p", "1.5"), "a number from 0 to 1, got '1.5'"),
    "p of nan": ((*A, "--top-p", "nan"), "a number from 0 to 1, got 'nan'"),
    "a seed that draws nothing": ((*A, "--seed", "1"), "--seed: only a temperature"),
    "top-k with temperature 0": (
        (*A, "--temperature", "0", "--top-k", "3"),
        "Add --temperature, or drop --top-k.",
    ),
    "report into nowhere": ((*A, "--json", "no/x"), "no folder 'no'"),
    "text for a mute model": (
        (*A, "--model", "mute"),
        "Give the prompt as --prompt-ids",
    ),
    "simulated": ((*A, "--backend", "simulated"), "'simulated' runs no model"),
    "ids for the simulated": (
        ("--prompt-ids", "1,2", "--backend", "simulated"),
        "'simulated' runs no model, so it has neither text nor logits",
    ),
    "a backend that is not there": (
        (*A, "--backend", "lost"),
        "(tests.cli.nowhere:Lost) failed to import",
    ),
    "unknown backend": ((*A, "--backend", "fakt"), "Did you mean 'fake'?"),
}
"""After ``fairq generate --backend fake --model plain.gguf``."""


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    "name", [name for name in WRONG if name != "a step that fails"]
)
def test_a_wrong_command_line_gets_one_line_and_code_2(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, expected = WRONG[name]
    ran = cli(*PLAIN, *arguments)
    assert (2, "") == (ran.code, ran.out)
    assert ran.err.startswith("fairq: error: ")
    assert ran.err.count("\n") == 1
    assert expected in ran.err


def test_nothing_is_fetched_for_a_wrong_command_line(
    cli: Cli, plain: FakeModel
) -> None:
    names = ("report into nowhere", "simulated", "unknown backend")
    for name in (*names, "a backend that is not there"):
        arguments, _ = WRONG[name]
        assert 2 == cli(*FAKE, "--model", "plain", *arguments).code
    assert 0 == plain.pulled


@pytest.mark.usefixtures("plain")
def test_a_backend_without_what_text_needs_is_refused_and_closed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_text, "MEMBERS", ("tokenizer", "charm"))
    ran = cli(*PLAIN, *A)
    assert (2, "") == (ran.code, ran.out)
    assert "'fake' runs no model" in ran.err
    assert 1 == only().closed


@pytest.mark.usefixtures("plain")
def test_ctrl_c_leaves_the_text_so_far_and_closes_the_backend(
    cli: Cli, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    ran = cli(*FAKE, "--model", "torn", "--prompt", "abc", "--json", out)
    assert (130, "tu\n", "") == (ran.code, ran.out, ran.err)
    assert 1 == only().closed
    assert not out.exists()


# --- with the real model --------------------------------------------------------------


def test_a_real_model_says_what_the_golden_file_says(
    cli: Cli, report: Report, traces: Path
) -> None:
    golden = json.loads((traces / "smollm2" / "golden.json").read_text())["prompts"][0]
    assert 0 == cli("models", "pull", "smollm2").code
    made = report("generate", "--prompt", golden["prompt"], "--max-tokens", "8")
    assert golden["prompt_ids"] == made["prompt_ids"]
    assert golden["generated_ids"][:8] == made["generated_ids"]
    assert golden["generated_ids"][0] == made["first_step_top5"][0]["id"]
    assert made["text"].startswith(" Paris.")
