"""Transcripts of kernels that share prefixes: hits, pins, groups, adapters."""

import pytest

from fairq import Capacity, Policy, PrefixCache, Request, UsageError
from fairq.testing import (
    Pin,
    Pinned,
    RecordingKernel,
    Submit,
    Unpin,
    check_scenario,
    play,
    record,
    replay,
)

SHARING = "kernel blocks=16 block_size=4 sequences=4 tokens=32 sharing=yes"
LONG = "submit ids=7,7,7,7,8,8,8,8,9 max_tokens=2"


def test_a_hit_is_said_with_the_entry_and_with_the_state() -> None:
    text = play(f"{SHARING}\n{LONG}\nstep\nrun\n{LONG}\nstep\nrun\nstatus\n")
    assert "enter 0 with 9 tokens, slot 0, blocks 0,1,2\n" in text
    assert "enter 1 with 9 tokens, 8 of them cached, slot 0, blocks 0,1," in text
    assert "chunk 1: 8 + 1 and sample" in text
    assert "found 8 positions" in text
    assert "blocks cached, 8 positions found" in text
    check_scenario(text)


def test_without_sharing_nothing_is_said_of_a_cache() -> None:
    text = play(f"{SHARING[:-12]}\n{LONG}\nrun\n{LONG}\nrun\nstatus\n")
    assert "cached" not in text
    assert "found" not in text


def test_a_prefix_that_members_share_is_said() -> None:
    text = play(f"{SHARING}\n{LONG}\nrun\n{LONG}\n{LONG}\nplan\n")
    assert "  blocks 0,1 shared by 1,2\n" in text


def test_a_charge_that_is_taken_over_is_said() -> None:
    policy = "prefix_cache=everybody"
    other = LONG.replace("submit", "submit tenant=b")
    text = play(f"{SHARING} {policy}\n{LONG}\n{other}\nrun\n")
    journal = record(text)
    taken = play(f"{SHARING} {policy}\n{LONG}\n{other}\nstep count=3\n")
    assert "request 1 takes over 4 positions of request 0" in taken
    assert journal == record(journal.scenario())
    replay(record(taken))


def test_adapters_are_written_and_keep_prefixes_apart() -> None:
    adapted = f"{LONG} adapter=lo%20ra"
    text = play(f"{SHARING}\n{LONG}\nrun\n{adapted}\nrun\n{adapted}\nrun\n")
    assert text.count("found") == 1
    journal = record(text)
    assert [None, "lo ra", "lo ra"] == [
        noted.call.adapter for noted in journal.calls if isinstance(noted.call, Submit)
    ]
    assert journal == record(journal.commands())


PINNING = f"""{SHARING} max_pinned_blocks=4
{LONG}
run
pin ids=7,7,7,7,8,8,8,8,9
pin ids=7,7,7,7,8,8,8,8,9
unpin ids=7,7,7,7,8,8,8,8,9
unpin ids=7,7,7,7,8,8,8,8,9
pin prompt=4
"""


def test_pins_are_played_and_recorded() -> None:
    text = play(PINNING)
    assert "\npinned 8 tokens\n" in text
    assert "\nerror: pin: these 9 tokens are pinned in the cache of tenant 'a'" in text
    assert "\nunpinned\n" in text
    assert "\nerror: unpin: expected tokens that are pinned in the cache of" in text
    assert text.endswith("\npinned 0 tokens\n")
    journal = record(PINNING)
    kinds = [type(noted.call) for noted in journal.calls[-5:]]
    assert [Pin, Pin, Unpin, Unpin, Pin] == kinds
    assert Pinned(8) == journal.calls[-5].outcome
    assert journal == record(journal.scenario()) == record(journal.commands())
    replay(journal)


def pinning() -> RecordingKernel:
    cache = PrefixCache(max_pinned_blocks=4)
    kernel = RecordingKernel(
        Capacity(blocks=16, prefix_cache=True), Policy(prefix_cache=cache)
    )
    kernel.submit(Request(tenant="a", prompt=[1], max_tokens=1))
    return kernel


def test_a_recording_kernel_pins_like_any_other() -> None:
    kernel = pinning()
    assert kernel.pin("a", iter([1, 2, 3]), adapter="x") == 0
    with pytest.raises(UsageError, match="unpin: expected tokens"):
        kernel.unpin("a", (1, 2, 3), adapter="x")
    pin, unpin = (noted.call for noted in kernel.journal.calls[1:])
    assert str(pin) == "pin tenant=a prompt=3 adapter=x"
    assert str(unpin) == "unpin tenant=a prompt=3 adapter=x"


@pytest.mark.parametrize("adapter", [3, ""])
def test_a_pin_with_a_wrong_type_is_not_noted(adapter: object) -> None:
    kernel = pinning()
    kernel.pin("a", [1, 2], adapter=adapter)  # type: ignore[arg-type]  # wrong types are the test
    assert len(kernel.journal.calls) == 1
