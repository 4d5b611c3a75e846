"""The plan of a whole job saves what the best choice of groups saves, and no less.

Three oracles know nothing of a tree that is compressed: all choices of prefixes, tried
one by one; the recurrence, solved for every pair of prefixes; and the greedy rule that
the published code has in its place.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import chain, combinations

import attrs
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from fairq import Request
from fairq.offline import OfflineGroup, OfflinePlan, plan_offline
from property_tests.effort import part, profile
from property_tests.mutants import detectors
from property_tests.mutants.detectors import Detector, effort, finder
from property_tests.mutants.offline import OFFLINE
from property_tests.mutants.patch import Mutant
from property_tests.record import RECORD

# --- jobs ---------------------------------------------------------------------------


@attrs.frozen
class Job:
    """Requests to plan, and the blocks to plan them in."""

    requests: tuple[Request, ...]
    block_size: int

    def plan(self) -> OfflinePlan:
        return plan_offline(self.requests, block_size=self.block_size)

    def prefixes(self, index: int) -> Iterator["Prefix"]:
        """What a request could share, shortest first: whole blocks, not all of it."""
        request = self.requests[index]
        for end in range(self.block_size, len(request.prompt), self.block_size):
            yield request.adapter, tuple(request.prompt[:end])

    def forks(self) -> dict["Prefix", frozenset[int]]:
        """Prefixes that two can share and that nobody could make longer, with readers.

        A longer one with the same readers saves more, so no others need be tried.
        """
        readers: dict[Prefix, set[int]] = {}
        for index in range(len(self.requests)):
            for prefix in self.prefixes(index):
                readers.setdefault(prefix, set()).add(index)
        longest: dict[frozenset[int], Prefix] = {}
        for prefix, who in sorted(readers.items(), key=lambda item: len(item[0][1])):
            longest[frozenset(who)] = prefix
        return {prefix: who for who, prefix in longest.items() if len(who) > 1}


Prefix = tuple[str | None, tuple[int, ...]]


def asked(
    prompt: list[int], max_tokens: int = 1, adapter: str | None = None
) -> Request:
    return Request(tenant="a", prompt=prompt, max_tokens=max_tokens, adapter=adapter)


adapters = st.sampled_from([None, None, None, "x"])
blocks = st.sampled_from([1, 1, 2, 3])


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """A few prompts down a tree with two ways at each fork, of edges of any length."""
    edges = draw(st.lists(st.integers(1, 9), min_size=8, max_size=8))

    def prompt(path: list[int], tail: int) -> list[int]:
        steps = [2 * level + digit for level, digit in enumerate(path)]
        return [step for step in steps for _ in range(edges[step])] + [9] * tail

    requests = st.builds(
        asked,
        st.builds(
            prompt,
            st.lists(st.integers(0, 1), min_size=1, max_size=4),
            st.integers(1, 4),
        ),
        st.integers(1, 6),
        adapters,
    )
    several = draw(st.lists(requests, min_size=2, max_size=8))
    return Job(tuple(several), draw(blocks))


@st.composite
def larger_jobs(draw: st.DrawFn) -> Job:
    """Prompts that are prefixes of each other, and leave the longest here and there."""
    longest = draw(st.lists(st.integers(0, 1), min_size=40, max_size=40))

    def prompt(end: int, tail: list[int]) -> list[int]:
        return [*longest[:end], *tail]

    tails = st.lists(st.integers(0, 2), min_size=1, max_size=6)
    prompts = st.builds(prompt, st.integers(0, 40), tails)
    several = draw(st.lists(st.builds(asked, prompts), min_size=8, max_size=40))
    return Job(tuple(several), draw(blocks))


def forked(stem: int, *branches: int) -> Job:
    """Two prompts on each branch, and a stem below all of them; blocks of one token."""
    prompts = [
        [0] * stem + [branch] * length + [99, leaf]
        for branch, length in enumerate(branches, start=1)
        for leaf in range(2)
    ]
    # The last token of a prompt is never shared, so the one before it is all the same.
    return Job(tuple(asked(prompt) for prompt in prompts), 1)


STEM = forked(100, 79, 79)
"""The smallest job on which the greedy rule loses: each branch shares 80 tokens."""


# --- oracles ------------------------------------------------------------------------


def saved_with(chosen: tuple[Prefix, ...], job: Job) -> int:
    """Tokens saved when each request uses the longest of its prefixes in ``chosen``."""
    used: dict[Prefix, int] = {}
    for index in range(len(job.requests)):
        mine = [prefix for prefix in job.prefixes(index) if prefix in chosen]
        if mine:
            used[mine[-1]] = used.get(mine[-1], 0) + 1
    return sum((count - 1) * len(tokens) for (_, tokens), count in used.items())


def brute_force(job: Job) -> int:
    """The most that any choice of prefixes saves."""
    forks = list(job.forks())
    sizes = range(len(forks) + 1)
    choices = chain.from_iterable(combinations(forks, size) for size in sizes)
    return max(saved_with(chosen, job) for chosen in choices)


class Tree:
    """The forks of a job, each below the next shorter one; None is above all."""

    def __init__(self, job: Job) -> None:
        self.readers = job.forks()
        self.below: dict[Prefix | None, list[Prefix]] = {None: []}
        self.leaves: dict[Prefix | None, int] = {}
        everybody = frozenset(range(len(job.requests)))
        for prefix in sorted(self.readers, key=lambda prefix: len(prefix[1])):
            self.below[prefix] = []
            self.below[self.above(prefix)].append(prefix)
        for fork, below in self.below.items():
            here = everybody if fork is None else self.readers[fork]
            self.leaves[fork] = len(here) - sum(len(self.readers[b]) for b in below)

    def above(self, prefix: Prefix) -> Prefix | None:
        adapter, tokens = prefix
        shorter = ((adapter, tokens[:end]) for end in range(len(tokens) - 1, 0, -1))
        return next((other for other in shorter if other in self.readers), None)

    def edge(self, prefix: Prefix) -> int:
        return depth(prefix) - depth(self.above(prefix))


def depth(prefix: Prefix | None) -> int:
    return 0 if prefix is None else len(prefix[1])


def recurrence(job: Job) -> int:
    """The most that can be saved, from the value of each pair of fork and cut."""
    tree = Tree(job)

    def total(fork: Prefix | None, cut: Prefix | None) -> int:
        below = sum(best(each, cut) for each in tree.below[fork])
        return tree.leaves[fork] * depth(cut) + below

    @cache
    def best(fork: Prefix, cut: Prefix | None) -> int:
        return max(total(fork, cut), total(fork, fork) - depth(fork))

    return total(None, None)


def greedy(job: Job) -> int:
    """What the rule of the published code saves, which goes from the leaves up."""
    tree = Tree(job)
    _, groups = one_level(tree, None)
    return sum((leaves - 1) * length for length, leaves in groups)


def one_level(tree: Tree, fork: Prefix | None) -> tuple[int, list[tuple[int, int]]]:
    """Leaves of a fork, and groups below it: tokens beyond the fork, and leaves."""
    leaves, groups = tree.leaves[fork], list[tuple[int, int]]()
    for child in tree.below[fork]:
        edge = tree.edge(child)
        own, below = one_level(tree, child)
        hoisted = [(more, count) for more, count in below if (count - 1) * more > edge]
        stay = [each for each in below if each not in hoisted]
        groups += [(edge + more, count) for more, count in hoisted]
        if len(stay) == 1 and not own:  # the only one left takes its parent's edge
            groups.append((edge + stay[0][0], stay[0][1]))
            continue
        own += sum(count for _, count in stay)
        if own > 1:
            groups.append((edge, own))
        else:
            leaves += own
    return leaves, groups


# --- properties ---------------------------------------------------------------------


@given(job=jobs())
@example(job=STEM)
def test_no_choice_of_prefixes_saves_more(job: Job) -> None:
    plan = job.plan()

    assert brute_force(job) == plan.saved_tokens
    event(f"{sum(group.prefix_tokens > 0 for group in plan.groups)} groups share")


@part(2)
@given(job=larger_jobs())
def test_larger_jobs_save_what_the_recurrence_says(job: Job) -> None:
    assert recurrence(job) == job.plan().saved_tokens


@given(job=jobs() | larger_jobs())
@example(job=STEM)
def test_the_greedy_rule_never_saves_more(job: Job) -> None:
    greedily, saved = greedy(job), job.plan().saved_tokens

    assert greedily <= saved
    event("the greedy rule saves less" if greedily < saved else "as much")


def test_the_greedy_rule_sometimes_saves_less() -> None:
    assert 300 == greedy(STEM)
    assert 360 == STEM.plan().saved_tokens


@given(job=jobs() | larger_jobs())
def test_every_request_is_in_exactly_one_group(job: Job) -> None:
    plan = job.plan()
    members = [index for group in plan.groups for index in group.members]

    assert list(range(len(job.requests))) == sorted(members)
    assert tuple(members) == plan.order


@given(job=jobs() | larger_jobs())
def test_members_share_their_prefix_and_its_adapter(job: Job) -> None:
    for group in job.plan().groups:
        assert sorted(group.members) == list(group.members)
        assert (len(group.members) == 1) == (group.prefix_tokens == 0)
        for index in group.members if group.prefix_tokens else ():
            first = job.requests[group.members[0]]
            prefix = (first.adapter, tuple(first.prompt[: group.prefix_tokens]))
            assert prefix in job.prefixes(index)


@given(job=jobs() | larger_jobs())
def test_what_is_saved_is_what_is_found_when_it_runs(job: Job) -> None:
    """One request after the other, with room for the prefix of one group."""
    found, resident = 0, -1
    plan = job.plan()
    group_of = {
        index: g for g, group in enumerate(plan.groups) for index in group.members
    }
    for index in plan.order:
        if group_of[index] == resident:
            found += plan.groups[resident].prefix_tokens
        resident = group_of[index]

    assert found == plan.saved_tokens
    assert sum(len(request.prompt) for request in job.requests) == plan.logical_tokens


def ratio(group: OfflineGroup, job: Job) -> Fraction:
    """Output tokens for each prompt token that the group computes."""
    members = [job.requests[index] for index in group.members]
    suffixes = [len(request.prompt) - group.prefix_tokens for request in members]
    output = sum(request.max_tokens for request in members)
    return Fraction(output, group.prefix_tokens + sum(suffixes))


@given(job=jobs())
def test_groups_with_most_to_decode_come_first(job: Job) -> None:
    groups = job.plan().groups
    expected = sorted(groups, key=lambda g: (-ratio(g, job), g.members[0]))

    assert expected == list(groups)


@given(job=jobs() | larger_jobs(), data=st.data())
def test_the_order_of_the_requests_decides_draws_alone(
    job: Job, data: st.DataObject
) -> None:
    before = data.draw(st.permutations(range(len(job.requests))))
    other = Job(tuple(job.requests[index] for index in before), job.block_size)
    one, two = job.plan().groups, other.plan().groups

    assert sorted(map(sorted, (group.members for group in one))) == sorted(
        sorted(before[index] for index in group.members) for group in two
    )
    assert [ratio(group, job) for group in one] == [ratio(g, other) for g in two]


@given(job=jobs())
def test_adapters_are_planned_as_jobs_of_their_own(job: Job) -> None:
    saved = 0
    for adapter in (None, "x"):
        alone = tuple(r for r in job.requests if r.adapter == adapter)
        saved += Job(alone, job.block_size).plan().saved_tokens

    assert saved == job.plan().saved_tokens


# --- planted bugs -------------------------------------------------------------------

DETECTORS = (
    Detector("brute force", detectors.tests(test_no_choice_of_prefixes_saves_more)),
    Detector(
        "recurrence", detectors.tests(test_larger_jobs_save_what_the_recurrence_says)
    ),
    Detector(
        "members", detectors.tests(test_members_share_their_prefix_and_its_adapter)
    ),
    Detector("order", detectors.tests(test_groups_with_most_to_decode_come_first)),
)
ROUNDS = {"dev": (10, 50), "ci": (10, 50, 200), "deep": (10, 100, 1_000)}


def name(each: Mutant | Detector) -> str:
    return each.name


@pytest.mark.parametrize("mutant", OFFLINE, ids=name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    with mutant.planted():
        found = finder(ROUNDS[profile()], DETECTORS)
    RECORD.mutants[mutant.name] = found

    assert found is not None, mutant.breaks


@pytest.mark.parametrize("detector", DETECTORS, ids=name)
def test_a_planner_without_a_bug_is_not_accused(detector: Detector) -> None:
    detector.ask(effort(50))


def test_every_module_that_decides_has_a_bug_planted() -> None:
    planted = {module.rpartition(".")[2] for each in OFFLINE for module in each.modules}

    assert {"_trie", "_profile", "_cuts", "_planner"} == planted
