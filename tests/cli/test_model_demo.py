"""``fairq demo`` on a model: who waits, what is said, what is drawn."""

import re
from pathlib import Path

import pytest

from fairq.cli._answers import first_line
from fairq.cli._chats import BULK, Traffic, chats
from fairq.cost import LinearCost
from fairq.sim import heavy_tenants
from tests.cli.conftest import Cli, Ran
from tests.cli.fakes import FakeModel, FakeText, Letters

FAKE = ("demo", "--backend", "fake", "--model", "plain.gguf")


@pytest.fixture
def ran(
    cli: Cli, plain: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Ran:
    assert 0 == plain.pulled
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return cli(*FAKE)


def row(ran: Ran, label: str) -> tuple[float, float]:
    """The figures of FCFS and VTC."""
    lines = [line for line in ran.out.splitlines() if line.strip().startswith(label)]
    fcfs, vtc = lines[0].split()[-2:]
    return float(fcfs.replace(",", "")), float(vtc.replace(",", ""))


def test_everybody_is_served_and_the_light_wait_less_under_vtc(ran: Ran) -> None:
    assert (0, "") == (ran.code, ran.err)
    total = float(len(chats()))
    assert (total, total) == row(ran, "finished")
    fcfs, vtc = row(ran, "first token, light, mean")
    assert fcfs > 5 * vtc


def test_the_title_the_verdict_and_the_picture_are_there(ran: Ran) -> None:
    flat = " ".join(ran.out.split())
    assert flat.startswith(
        "plain: 73 requests of 3 tenants, 1 heavy (bulk) and 2 light"
    )
    assert "Under VTC the light tenants get their first token" in flat
    # Steps and not throughput: times are measured, and the machine may be busy.
    assert re.search(r"\), in \d+ steps and not \d+\. Picture", flat)
    assert ran.out.endswith("Picture: fairq-demo-fake.png\n")
    assert Path("fairq-demo-fake.png").read_bytes().startswith(b"\x89PNG")


def test_no_line_is_wider_than_80_columns(ran: Ran) -> None:
    assert max(len(line) for line in ran.out.splitlines()) <= 80


def test_some_texts_are_shown_with_the_waits_of_their_requests(ran: Ran) -> None:
    lines = ran.out.splitlines()
    (asked,) = [n for n, each in enumerate(lines) if "reset my password?" in each]
    assert lines[asked].split()[0] == "support"
    fcfs, vtc = (float(each) for each in lines[asked].split()[-2:])
    assert fcfs > vtc
    prompt = Letters().encode(Letters().chat([chats_message()]))
    answer = "".join(chr(97 + each % 26) for each in prompt[:24])
    assert answer == lines[asked + 1].strip()


def chats_message() -> dict[str, str]:
    return {"role": "user", "content": "How do I reset my password?"}


def test_rows_that_need_minutes_are_left_out(ran: Ran) -> None:
    assert "Jain" not in ran.out
    assert "service difference" not in ran.out


def test_each_policy_gets_a_fresh_backend_of_the_same_sizes(ran: Ran) -> None:
    assert 0 == ran.code
    first, second = FakeText.made
    assert first.capacity == second.capacity
    assert (16, 128) == (first.capacity.max_sequences, first.capacity.tokens_per_step)


def test_answers_that_agree_are_counted(ran: Ran, cli: Cli) -> None:
    flat = " ".join(ran.out.split())
    assert "All 73 answers are the same under both policies, to the letter." in flat
    fast = " ".join(cli(*FAKE, "--mode", "fast").out.split())
    assert "of 73 answers are the same under both policies." in fast
    assert "All 73" not in fast


WRONG = {
    "model of the simulated": (("demo", "--model", "x"), "--model: the simulated"),
    "mode of the simulated": (("demo", "--mode", "fast"), "drop --mode."),
    "mute": (("demo", "--backend", "fake", "--model", "mute"), "have no tokenizer"),
    "narrow": (
        ("demo", "--backend", "fake", "--model", "narrow"),
        "error: The prompt of ",
    ),
    "broken": (
        ("demo", "--backend", "fake", "--model", "broken"),
        "A step of the fcfs run failed: the third step is broken",
    ),
    "unknown": (("demo", "--backend", "fakt"), "Did you mean 'fake'?"),
    "picture": ((*FAKE, "--plot", "no/x.png"), "no folder 'no'"),
}


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, expected = WRONG[name]
    ran = cli(*arguments)
    assert 2 == ran.code
    assert 1 == ran.err.count("\n")
    assert expected in ran.err
    assert [] == list(tmp_path.glob("*.png"))


def test_prompts_differ_and_bulk_alone_is_heavy() -> None:
    traffic = Traffic.of(Letters())
    assert len(traffic.prompts) == len(set(traffic.prompts))
    assert (BULK,) == heavy_tenants(traffic.trace.jobs, LinearCost())
    arrivals = [job.arrival_s for job in traffic.trace.jobs]
    assert sorted(arrivals) == arrivals


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("\n\n  a  b \nc", "a b"), ("a\x1b[31mb\tc", "a?[31mb c")],
)
def test_a_first_line_moves_no_cursor(text: str, expected: str) -> None:
    assert expected == first_line(text)
