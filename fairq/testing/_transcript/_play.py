"""Scenarios: transcripts of a kernel, as text that can be played and checked.

A scenario is a list of blocks with empty lines between them. A block is

    # why this is here
    command key=value key=value
    ----
    what it prints

Lines with ``#`` are for the reader. Several commands may share one block. Every
command is followed by ``Kernel.check``; a step is also executed by a ``Witness``, which
checks what it is told. The commands, with what they take when an argument is left out:

    kernel blocks=64 block_size=4 sequences=8 tokens=64 sharing=no  (the capacity)
           policy=vtc slack=0 admission=optimistic weights=a:1,b:3 cost=1:2:0
           (policy=dlpm has quantum=0, not slack; the third price is of cached tokens)
           order=fifo patience=64 commitment=none
           prefix_cache=own max_wait=8 max_pinned_blocks=0
           (prefix_cache= is own, off, everybody, or groups such as a:team,b:team; it
           matters with sharing=yes, which is Capacity.prefix_cache)
           token_budget=none max_sequences=none max_waiting=100000
           max_waiting_per_tenant=10000 max_failures=3 margin=0
    submit tenant=a prompt=4 max_tokens=4 adapter=lora count=1 now=0
           (prompt=4 is the token ids 1,2,3,4; ids=7,7,9 says them; no adapter when
           left out)
    cancel id=0
    plan   now=0
    commit tokens=0:17,1:9 stop=0,1 step=5
           (made-up tokens, nobody, and the outstanding step when left out)
    fail   step=5
    step   count=1         (plan and commit)
    run                    (steps until nothing is left; prints a summary)
    status
    pin    tenant=a prompt=4 adapter=lora    (or ids=; so for unpin)
    unpin  tenant=a prompt=4 adapter=lora

In names, %XX stands for a character that has a meaning here: ``tenant=big%20co``.
``margin=0`` lets an optimistic kernel expect no growth, as after many short outputs.
"""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairq.disciplines import Discipline
from fairq.errors import UsageError
from fairq.testing._transcript._journal import Journal
from fairq.testing._transcript._stage import Stage
from fairq.testing._transcript._syntax import Block, Line, blocks


def play(text: str, *, disciplines: Sequence[Discipline] = ()) -> str:
    r"""Play a scenario, and fill in what it prints.

    What it said before about that is not looked at. Costs O(state) per command.

        text = play("kernel\nsubmit prompt=3\nstep\n")
        assert "finished" not in text
        Path("tests/first_step.txt").write_text(text)

    Args:
        text: The scenario; commands are enough.
        disciplines: Those that ``kernel policy=`` can name besides vtc and fcfs.

    Returns:
        The whole scenario, with the expected part of each block as it is printed now.

    Raises:
        UsageError: a line cannot be read; the message has its number, what was
            expected and what came. Or ``text`` is not a string.
        AssertionError: the kernel gave a plan that cannot be executed.
        InvariantError: ``Kernel.check`` found its state to be inconsistent.
    """
    _check_text("play", text)
    stage = Stage(disciplines)
    return _joined([each.text(list(_printed(stage, each))) for each in blocks(text)])


def check_scenario(
    scenario: str | Path, *, disciplines: Sequence[Discipline] = ()
) -> None:
    """Play a scenario and compare what it prints with what it says.

    A test is one line; costs are those of ``play``.

        def test_the_bug_stays_away() -> None:
            check_scenario(Path(__file__).with_name("bug.txt"))

    Args:
        scenario: A file, or the text itself. A string with a line break is the text.
        disciplines: As for ``play``.

    Raises:
        AssertionError: it prints something else; the message is the difference. Also
            as ``play``.
        UsageError: as ``play``, or there is no command in it.
        InvariantError: as ``play``.
        OSError: the file cannot be read.
    """
    name, text = read_scenario("check_scenario", scenario)
    expected = _joined([each.text(each.expected) for each in blocks(text)])
    actual = play(text, disciplines=disciplines)
    if expected != actual:
        lines = difflib.unified_diff(
            expected.splitlines(), actual.splitlines(), name, "now", lineterm=""
        )
        said = "\n".join(lines)
        msg = (
            f"{name} prints something else. If that is right, keep play(text).\n{said}"
        )
        raise AssertionError(msg)


def record(text: str, *, disciplines: Sequence[Discipline] = ()) -> Journal:
    r"""The journal of the last kernel of a scenario. Costs what ``play`` costs.

        journal = record("kernel blocks=8\nsubmit prompt=3\nrun\n")
        for plan in journal.plans:
            backend.step(plan)

    Args:
        text: As for ``play``.
        disciplines: As for ``play``.

    Raises:
        UsageError: as ``play``, or there is no kernel in it, or one with ``margin=``,
            which is no call.
        AssertionError, InvariantError: as ``play``.
    """
    _check_text("record", text)
    stage = Stage(disciplines)
    for block in blocks(text):
        for _ in _printed(stage, block):
            pass
    if not hasattr(stage, "kernel") or stage.misled:
        got = "one with margin=" if hasattr(stage, "kernel") else "none"
        msg = f"record: expected a kernel that was made without margin=; got {got}."
        raise UsageError(msg)
    return stage.kernel.journal


def _printed(stage: Stage, block: Block) -> Iterator[str]:
    for line in block.commands:
        if not _is_command(line):
            continue
        try:
            yield from stage.perform(line)
        except Exception as error:
            error.add_note(f"in line {line.number} of the scenario: {line.text}")
            raise


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _check_text(who: str, text: object) -> None:
    if not isinstance(text, str):
        msg = f"{who}: text must be a string, the text of a scenario; got {text!r}."
        raise UsageError(msg)


def read_scenario(who: str, scenario: object) -> tuple[str, str]:
    """A scenario for ``who``: what to call it, and its text.

    Raises:
        UsageError: it is neither a file nor text, or there is no command in it.
        OSError: the file cannot be read.
    """
    if not isinstance(scenario, str | Path) or not str(scenario).strip():
        expected = "a file, or text with commands"
        msg = f"{who}: scenario must be {expected}; got {scenario!r}."
        raise UsageError(msg)
    if isinstance(scenario, str) and "\n" in scenario:
        name, text = "scenario", scenario
    else:
        name = str(scenario)
        text = Path(scenario).read_text(encoding="utf-8")
    if not any(_is_command(line) for each in blocks(text) for line in each.commands):
        msg = f"{who}: expected a scenario with commands; got none in {name}."
        raise UsageError(msg)
    return name, text


def _is_command(line: Line) -> bool:
    return not line.text.lstrip().startswith("#")
