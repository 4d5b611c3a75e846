"""What prompts have in common, and how it is laid out in tokens."""

from itertools import chain

import pytest

from fairq.backend import Capacity
from fairq.errors import UsageError
from fairq.policy import Policy
from fairq.prefix_cache import PrefixCache
from fairq.sim import Job, Span, Trace, merge_traces, simulate
from fairq.sim._content import cut, lay_out, spans
from fairq.tokens import TokenIds
from tests.sim.machine import Machine


def tokens(content: tuple[Span, ...], length: int, mark: int = 2**30) -> list[int]:
    return list(TokenIds.from_raw(lay_out(content, length, mark)))


@pytest.mark.parametrize(("count", "size"), [(3, 5), (5, 3), (1, 1), (4, 4), (7, 1)])
def test_a_piece_is_copies_of_its_id(count: int, size: int) -> None:
    expected = [9 + place // size for place in range(count * size)]
    assert expected == tokens((Span(9, count, size),), count * size)


def test_what_the_content_does_not_reach_begins_with_a_mark() -> None:
    assert [1, 1, 2, 2, 77, 0, 0] == tokens((Span(1, 2, 2),), 7, mark=77)
    assert [77, 0] == tokens((), 2, mark=77)


def test_ids_in_a_row_become_one_span() -> None:
    made = tuple(spans([4, 5, 6, 9, 8, 8, 0, 1], 3))
    assert (
        Span(4, 3, 3),
        Span(9, 1, 3),
        Span(8, 1, 3),
        Span(8, 1, 3),
        Span(0, 2, 3),
    ) == made
    assert () == tuple(spans([], 3))


def test_content_is_cut_after_some_pieces_and_whole_spans_are_kept() -> None:
    content = (Span(0, 2, 4), Span(9, 3, 4))
    assert () == tuple(cut(content, 0))
    assert (Span(0, 1, 4),) == tuple(cut(content, 1))
    first, second = cut(content, 4)
    assert content[0] is first
    assert Span(9, 2, 4) == second
    assert content == tuple(cut(content, 99))


@pytest.mark.parametrize(
    ("first", "count", "size"), [(-1, 1, 1), (0, 0, 1), (0, 1, 0), (2**30 - 1, 2, 1)]
)
def test_a_span_out_of_bounds_is_refused(first: int, count: int, size: int) -> None:
    with pytest.raises(UsageError, match="Span"):
        Span(first, count, size)


def test_content_is_no_longer_than_the_prompt() -> None:
    Job("a", 0.0, 6, 1, (Span(0, 2, 3),))
    with pytest.raises(
        UsageError, match=r"Job.content must be at most prompt_tokens=5"
    ):
        Job("a", 0.0, 5, 1, (Span(0, 2, 3),))


class Sharing(Machine):
    """A machine that could share; what it was told is in its plans."""

    def __init__(self, *, shares: bool = True) -> None:
        super().__init__()
        self.capacity = Capacity(
            blocks=1000, block_size=16, max_sequences=64, prefix_cache=shares
        )

    def prompts(self) -> list[list[int]]:
        enters = chain.from_iterable(plan.enter for plan in self.plans)
        return [list(enter.tokens) for enter in enters]


LIKE = (
    Job("a", 0.0, 8, 1, (Span(3, 2, 3),)),
    Job("b", 0.0, 8, 1, (Span(3, 2, 3),)),
    Job("c", 0.0, 3, 1),
    Job("d", 0.0, 3, 1),
)


def test_prompts_have_in_common_what_the_trace_says() -> None:
    machine = Sharing()
    simulate(Trace("t", LIKE), machine, Policy())
    common = [3, 3, 3, 4, 4, 4]
    assert [
        [*common, 2**30, 0],
        [*common, 2**30 + 1, 0],
        [2**30 + 2, 0, 0],
        [2**30 + 3, 0, 0],
    ] == machine.prompts()


@pytest.mark.parametrize(
    ("machine", "policy", "jobs"),
    [
        (Sharing(shares=False), Policy(), LIKE),
        (Sharing(), Policy(prefix_cache=None), LIKE),
        (Sharing(), Policy(), LIKE[2:]),
        (Sharing(), Policy(prefix_cache=PrefixCache(everybody=True)), LIKE[2:]),
    ],
    ids=["machine", "policy", "trace", "everybody"],
)
def test_where_nothing_can_be_shared_prompts_are_zeros(
    machine: Sharing, policy: Policy, jobs: tuple[Job, ...]
) -> None:
    simulate(Trace("t", jobs), machine, policy)
    assert len(jobs) == len(machine.prompts())
    assert not any(chain.from_iterable(machine.prompts()))
    assert all(enter.cached == 0 for plan in machine.plans for enter in plan.enter)


def test_different_files_have_nothing_in_common() -> None:
    job = Job("a", 0.0, 8, 1, (Span(3, 2, 3), Span(0, 1, 2)))
    plain = Job("a", 1.0, 8, 1)
    three = [Trace(name, (job, plain)) for name in "xyz"]
    merged = merge_traces(three)
    contents = [each.content for each in merged.jobs[:3]]
    assert [
        (Span(3 + offset, 2, 3), Span(offset, 1, 2)) for offset in (0, 5, 10)
    ] == contents
    assert [None] * 3 == [each.content for each in merged.jobs[3:]]
