"""Scenarios: what is written is what happens, and what cannot be read says why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from fairq import (
    Admission,
    Capacity,
    Discipline,
    Dlpm,
    Fcfs,
    InvariantError,
    Kernel,
    LinearCost,
    Lpm,
    Order,
    Policy,
    PrefixCache,
    Request,
    StepId,
    TokenIds,
    UsageError,
    Vtc,
)
from fairq.disciplines import TenantView
from fairq.testing import RecordingKernel, check_scenario, play, record, replay
from fairq.testing._transcript._setting import kernel_command

SMALL = "kernel blocks=8 block_size=4 sequences=2 tokens=16"
FIRST = f"{SMALL}\nsubmit tenant=a prompt=3 max_tokens=2\nstep\n"


# --- playing --------------------------------------------------------------------------


def test_commands_alone_get_their_outcomes() -> None:
    expected = """\
kernel blocks=8 block_size=4 sequences=2 tokens=16
submit tenant=a prompt=3 max_tokens=2
step
----
<Kernel step 0: 0 waiting, 0 running, 8/8 blocks free>
request 0
step 0: 3 positions
  enter 0 with 3 tokens, slot 0, blocks 0
  chunk 0: 0 + 3 and sample
tokens 0:1000
"""
    assert expected == play(FIRST)


def test_playing_what_was_played_changes_nothing() -> None:
    assert play(FIRST) == play(play(FIRST))


def test_old_outcomes_are_replaced() -> None:
    wrong = f"{SMALL}\n----\nanything\n"
    assert (
        f"{SMALL}\n----\n<Kernel step 0: 0 waiting, 0 running, 8/8 blocks free>\n"
        == (play(wrong))
    )


def test_empty_lines_separate_blocks_however_many() -> None:
    assert play(f"{SMALL}\n\nplan\n") == play(f"\n\n{SMALL}\n\n\n\nplan\n\n")


def test_comments_stay_where_they_are() -> None:
    text = play(f"# Why.\n{SMALL}\n# And now.\nplan\n")
    assert text.startswith(f"# Why.\n{SMALL}\n# And now.\nplan\n----\n")


def test_a_second_kernel_begins_anew() -> None:
    again = play(f"{FIRST}\n{FIRST}").split("\n\n")
    assert again[0] == again[1].rstrip("\n")


def test_prompts_can_be_said_token_by_token() -> None:
    journal = record(f"{SMALL}\nsubmit ids=7,7,2147483647\nstep\n")
    assert TokenIds([7, 7, 2**31 - 1]) == journal.plans[0].enter[0].tokens


def test_tokens_of_an_answer_can_be_said() -> None:
    text = f"{SMALL}\nsubmit count=2\nplan\ncommit tokens=1:9,0:17 stop=1\nstatus\n"
    said = play(text)
    assert "\ntokens 1:9 0:17\nfinished 1: stop, 1 tokens\n" in said
    assert "request 0: decoding, 1/4 tokens" in said


def test_a_preempted_request_comes_back_with_the_tokens_that_were_said() -> None:
    text = (
        "kernel blocks=4 block_size=1 tokens=16 margin=0\n"
        "submit prompt=1 max_tokens=4\nsubmit prompt=1 max_tokens=4\n"
        "plan\ncommit tokens=0:50,1:60\nplan\ncommit tokens=0:51\nrun\n"
    )
    assert "preempted 1" in play(text)


def test_an_answer_without_tokens_is_no_answer() -> None:
    said = play(f"{SMALL}\nsubmit\nplan\ncommit tokens=\ncommit\n")
    assert "error: The result of step 0 has 0 tokens, expected 1" in said
    assert said.endswith("tokens 0:1000\n")


def test_an_answer_can_name_another_step() -> None:
    said = play(f"{SMALL}\nsubmit\nplan\ncommit step=7\nfail step=8\nfail\n")
    assert "error: Result for step 7, but the outstanding step is 0." in said
    assert "error: Failure for step 8, but the outstanding step is 0." in said
    assert said.endswith("nothing\n")


def test_a_refused_answer_leaves_the_plan_to_be_answered() -> None:
    said = play(f"{SMALL}\nsubmit max_tokens=1\nplan\ncommit stop=9\ncommit\n")
    assert said.endswith("tokens 0:1000\nfinished 0: length, 1 tokens\n")


def test_an_answer_without_a_plan_is_an_error_of_the_kernel() -> None:
    assert "error: Result for step 0, but no plan" in play(f"{SMALL}\ncommit\n")
    assert "error: Failure for step 0, but no plan" in play(f"{SMALL}\nfail\n")


def test_times_show_in_how_long_requests_wait() -> None:
    journal = record(f"{SMALL}\nsubmit now=5\nplan now=30\n")
    kernel = Kernel(journal.capacity, journal.policy)
    for noted in journal.calls:
        noted.call.perform(kernel)
    assert 30 == kernel.snapshot().now_ns
    assert 25 == kernel.snapshot().tenants[0].oldest_wait_ns


def test_a_policy_that_cannot_be_is_an_error_that_is_printed() -> None:
    said = play("kernel sequences=2 max_sequences=3\n")
    assert "error: Policy.max_sequences is 3 sequences, but the backend has 2" in said


def test_a_run_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairq.testing._transcript._stage.MOST_STEPS", 3)
    with pytest.raises(AssertionError, match="Not done after 3 steps"):
        play(f"{SMALL}\nsubmit max_tokens=5\nrun\n")


# --- kernels --------------------------------------------------------------------------

PLAIN = ["a", "a.b/c-d_e~f+g@h"]
ODD = ["big co", "a:b,c=d", "100%", "%41", "line\nbreak", "#1", '"', "'", "\\", " "]
FOREIGN = ["gr\u00f6\u00dfe", "\u4e16", "\ud800"]


@pytest.mark.parametrize("name", [*PLAIN, *ODD, *FOREIGN], ids=ascii)
def test_any_name_of_a_tenant_can_be_written(name: str) -> None:
    kernel = RecordingKernel(Capacity(blocks=4), Policy(weights={name: 2}))
    kernel.submit(Request(tenant=name, prompt=[1], max_tokens=1))
    text = kernel.journal.scenario()
    assert kernel.journal == record(text)
    assert text == play(text)
    assert text.isascii()


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_is_written_as_it_is(name: str) -> None:
    assert f"\n{name}: counter 0" in play(f"kernel\nsubmit tenant={name}\nstatus\n")


def test_an_odd_name_cannot_break_a_transcript() -> None:
    text = play("kernel\nsubmit tenant=a%0A%0Ab\nstatus\n")
    assert "\na%0A%0Ab: counter 0" in text
    assert text == play(text)


POLICIES = {
    "": Policy(),
    " slack=2.5": Policy(discipline=Vtc(2.5)),
    " policy=fcfs": Policy(discipline=Fcfs()),
    " admission=reserve": Policy(admission=Admission.RESERVE),
    " weights=a:1,b:0.1": Policy(weights={"a": 1, "b": 0.1}),
    " cost=0:0.30000000000000004": Policy(cost=LinearCost(prompt=0, output=0.1 + 0.2)),
    " token_budget=7 max_sequences=1": Policy(token_budget=7, max_sequences=1),
    " max_waiting=none max_waiting_per_tenant=1 max_failures=0": Policy(
        max_waiting=None, max_waiting_per_tenant=1, max_failures=0
    ),
    " policy=lpm order=prefix": Policy(discipline=Lpm(), order=Order.PREFIX),
    " policy=dlpm quantum=500 order=decode-heavy": Policy(
        discipline=Dlpm(500), order=Order.DECODE_HEAVY
    ),
    " order=shortest commitment=99.5 patience=3": Policy(
        order=Order.SHORTEST, commitment=99.5, patience=3
    ),
    " cost=1.0:2.0:0.25": Policy(cost=LinearCost(cached=0.25)),
    " prefix_cache=off": Policy(prefix_cache=None),
    " prefix_cache=everybody max_wait=0": Policy(
        prefix_cache=PrefixCache(everybody=True, max_wait=0)
    ),
    " prefix_cache=a:one,big%20co:one max_pinned_blocks=4": Policy(
        prefix_cache=PrefixCache(
            groups={"a": "one", "big co": "one"}, max_pinned_blocks=4
        )
    ),
}


@pytest.mark.parametrize("arguments", POLICIES)
def test_every_field_of_a_policy_can_be_written(arguments: str) -> None:
    capacity = Capacity(blocks=9, block_size=2, max_sequences=5, tokens_per_step=8)
    command = f"kernel blocks=9 block_size=2 sequences=5 tokens=8{arguments}"
    policy = POLICIES[arguments]
    assert command == kernel_command(capacity, policy)
    journal = record(command)
    assert (capacity, policy) == (journal.capacity, journal.policy)


def test_no_field_of_a_policy_is_forgotten() -> None:
    written = {
        field.name
        for policy in POLICIES.values()
        for field in attrs.fields(Policy)
        if getattr(policy, field.name) != getattr(Policy(), field.name)
    }
    assert {field.name for field in attrs.fields(Policy)} == written


@pytest.mark.parametrize("sharing", [True, False])
def test_whether_tables_share_blocks_can_be_written(*, sharing: bool) -> None:
    capacity = Capacity(blocks=9, prefix_cache=sharing)
    command = kernel_command(capacity, Policy())
    assert sharing == ("sharing=yes" in command)
    assert capacity == record(command).capacity


def test_the_usual_cache_can_be_said_too() -> None:
    assert Policy() == record("kernel prefix_cache=own max_wait=8").policy


@pytest.mark.parametrize("figure", [0.1, 1e-5, 3, 3.0, 123456.789])
def test_a_weight_is_read_back_to_the_last_digit(figure: float) -> None:
    policy = Policy(weights={"a": figure})
    read = record(kernel_command(Capacity(blocks=1), policy)).policy.weights["a"]
    assert (type(figure), figure) == (type(read), read)


@pytest.mark.parametrize("figure", [2**53 + 1, 1e18, 0.1 + 0.2])
def test_a_slack_is_read_back_to_the_last_digit(figure: float) -> None:
    policy = Policy(discipline=Vtc(figure))
    read = record(kernel_command(Capacity(blocks=1), policy)).policy.discipline.slack
    assert (type(figure), figure) == (type(read), read)


@attrs.frozen
class Newest:
    """A discipline that no scenario knows by itself."""

    name: str = "newest"
    slack: None = None

    def turn(self, tenant: TenantView) -> int:
        return -tenant.oldest


def test_a_discipline_of_ones_own_is_named_and_passed() -> None:
    mine: list[Discipline] = [Newest()]
    kernel = RecordingKernel(Capacity(blocks=4), Policy(discipline=mine[0]))
    text = kernel.journal.scenario()
    assert "policy=newest" in text
    assert kernel.journal == record(text, disciplines=mine)
    check_scenario(text, disciplines=mine)
    with pytest.raises(UsageError, match="one of vtc, fcfs, lpm, dlpm; got 'newest'"):
        play(text)


# --- checking -------------------------------------------------------------------------


def test_a_scenario_that_prints_what_it_says_passes(tmp_path: Path) -> None:
    path = tmp_path / "first.txt"
    path.write_text(play(FIRST))
    check_scenario(path)
    check_scenario(str(path))
    check_scenario(play(FIRST))


def test_a_scenario_that_expects_something_else_is_shown_as_a_difference() -> None:
    wrong = play(FIRST).replace("tokens 0:1000", "tokens 0:7")
    with pytest.raises(AssertionError) as caught:
        check_scenario(wrong)
    message = str(caught.value)
    assert message.startswith("scenario prints something else.")
    assert "\n-tokens 0:7\n+tokens 0:1000" in message


def test_a_difference_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "first.txt"
    path.write_text(FIRST)
    with pytest.raises(AssertionError, match=r"first\.txt prints something else"):
        check_scenario(path)


def test_a_file_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        check_scenario("nowhere.txt")


def test_damage_is_found_and_the_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(self: Kernel) -> None:
        msg = "Something is off."
        raise InvariantError(msg, snapshot=self.snapshot())

    monkeypatch.setattr(Kernel, "check", damaged)
    with pytest.raises(InvariantError) as caught:
        play(FIRST)
    assert ["in line 2 of the scenario: submit tenant=a prompt=3 max_tokens=2"] == (
        caught.value.__notes__
    )


# --- recording ------------------------------------------------------------------------


def test_the_journal_of_a_scenario_makes_the_same_scenario() -> None:
    journal = record(f"{SMALL}\nsubmit\nplan\ncommit\nfail\n")
    assert journal == record(journal.scenario()) == record(journal.commands())
    assert StepId(0) == journal.plans[0].step_id


@pytest.mark.parametrize(
    ("text", "got"),
    [("# nothing\n", "none"), ("kernel margin=0\n", "one with margin=")],
)
def test_only_what_calls_have_made_can_be_recorded(text: str, got: str) -> None:
    with pytest.raises(UsageError) as caught:
        record(text)
    expected = "record: expected a kernel that was made without margin=; got"
    assert f"{expected} {got}." == str(caught.value)


# --- what is no scenario --------------------------------------------------------------

NONE: dict[str, Callable[[], object]] = {
    "play: text must be a string, the text of a scenario; got None.": (
        lambda: play(cast("Any", None))
    ),
    "record: text must be a string, the text of a scenario; got 5.": (
        lambda: record(cast("Any", 5))
    ),
    "check_scenario: scenario must be a file, or text with commands; got ''.": (
        lambda: check_scenario("")
    ),
    "check_scenario: scenario must be a file, or text with commands; got None.": (
        lambda: check_scenario(cast("Any", None))
    ),
    "check_scenario: expected a scenario with commands; got none in scenario.": (
        lambda: check_scenario("# Nothing yet.\n")
    ),
    "replay: journal must be a Journal; got str.": lambda: replay(cast("Any", "x")),
    "replay: kernel must be a Kernel; got int.": (
        lambda: replay(record("kernel\n"), cast("Any", 5))
    ),
}


@pytest.mark.parametrize("message", NONE)
def test_what_is_no_scenario_is_refused(message: str) -> None:
    with pytest.raises(UsageError) as caught:
        NONE[message]()
    assert message == str(caught.value)
