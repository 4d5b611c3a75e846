"""A scenario that cannot be read says which line, and why."""

import pytest

from fairq import (
    UsageError,
)
from fairq.testing import play

SMALL = "kernel blocks=8 block_size=4 sequences=2 tokens=16"
FIRST = f"{SMALL}\nsubmit tenant=a prompt=3 max_tokens=2\nstep\n"


COMMANDS = "kernel, submit, cancel, plan, commit, fail, step, run, status, pin, unpin"
NAME = "a name, with %XX for characters that have a meaning here"
BAD = {
    "sumbit": (
        f"expected a command, one of {COMMANDS}; got 'sumbit'. Did you mean 'submit'?"
    ),
    "submit tenant": "expected arguments such as key=value; got 'tenant'",
    "submit tenent=a": (
        "expected tenant, prompt, ids, max_tokens, adapter, count, now; "
        "got 'tenent'. Did you mean 'tenant'?"
    ),
    "run count=1": "expected no argument; got 'count'",
    "submit prompt=many": "expected an integer for prompt=; got 'many'",
    "submit ids=1,,2": "expected integers such as 1,2,3 for ids=; got '1,,2'",
    "commit tokens=1": "expected tokens such as 0:17,1:9 for tokens=; got '1'",
    "commit stop=x": "expected integers such as 1,2,3 for stop=; got 'x'",
    "kernel weights=a": "expected weights such as a:1,b:2.5 for weights=; got 'a'",
    "kernel cost=1": "expected prices such as 1:2 or 1:2:0.1 for cost=; got '1'",
    "kernel cost=1:2:3:4": (
        "expected prices such as 1:2 or 1:2:0.1 for cost=; got '1:2:3:4'"
    ),
    "kernel sharing=maybe": "expected sharing= to be one of no, yes; got 'maybe'",
    "kernel order=random": (
        "expected order= to be one of fifo, prefix, shortest, decode-heavy; "
        "got 'random'"
    ),
    "kernel commitment=much": ("expected a number or none for commitment=; got 'much'"),
    "kernel patience=none": "expected an integer for patience=; got 'none'",
    "kernel prefix_cache=on": (
        "expected off, own, everybody, or groups as a:x,b:x for prefix_cache=; got 'on'"
    ),
    "pin prompt=1 ids=1": "expected either prompt= or ids=; got 'pin prompt=1 ids=1'",
    "unpin now=1": "expected tenant, prompt, ids, adapter; got 'now'",
    "kernel slack=wide": "expected a number for slack=; got 'wide'",
    "kernel max_waiting=few": "expected an integer or none for max_waiting=; got 'few'",
    "kernel policy=lifo": (
        "expected policy= to be one of vtc, fcfs, lpm, dlpm; got 'lifo'"
    ),
    "kernel admission=no": (
        "expected admission= to be one of optimistic, reserve; got 'no'"
    ),
    "kernel admission=reserve margin=0": (
        "expected margin= with optimistic admission only; got 'reserve'"
    ),
    "cancel": "expected the argument id=; got 'cancel'",
    "step count=-1": "expected an integer >= 1 for count=; got '-1'",
    "step count=0": "expected an integer >= 1 for count=; got '0'",
    "submit count=0": "expected an integer >= 1 for count=; got '0'",
    "submit prompt=1 prompt=2": "expected the argument prompt= once; got 'prompt=2'",
    "submit prompt=1 ids=1": (
        "expected either prompt= or ids=; got 'submit prompt=1 ids=1'"
    ),
    "submit tenant=a%zz": f"expected {NAME}, for tenant=; got 'a%zz'",
    "submit tenant=%ff": f"expected {NAME}, for tenant=; got '%ff'",
    "kernel weights=%4:1": (
        "expected weights such as a:1,b:2.5 for weights=; got '%4:1'"
    ),
    "submit 'tenant=a": "expected a command (No closing quotation); got \"submit 'tena",
}


@pytest.mark.parametrize("line", BAD)
def test_a_line_that_cannot_be_read_says_what_was_expected(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        play(f"# A comment.\nkernel\n\n{line}\n")
    assert str(caught.value).startswith(f"line 4: {BAD[line]}")
    assert [f"in line 4 of the scenario: {line}"] == caught.value.__notes__


def test_a_kernel_comes_before_all_else() -> None:
    with pytest.raises(UsageError) as caught:
        play("submit\n")
    expected = "line 1: expected the command kernel before any other; got 'submit'."
    assert expected == str(caught.value)
