"""The micro-benchmark of BatchLLM: groups of requests with a common prefix."""

from collections import Counter
from itertools import pairwise

import pytest

from fairq.errors import UsageError
from fairq.sim import Job, Span, parse_groups, prefix_groups


def test_the_default_sizes_are_those_of_the_paper() -> None:
    trace = parse_groups("groups:400x16")
    assert trace == prefix_groups(400, 16, prefix=2000, own=200, output=100)
    assert len(trace.jobs) == 6400
    assert trace.name == "groups-400x16"
    lengths = {
        (job.client, job.arrival_s, job.prompt_tokens, job.output_tokens)
        for job in trace.jobs
    }
    assert {("job", 0.0, 2200, 100)} == lengths
    groups = Counter(job.content for job in trace.jobs)
    assert {(Span(n, 1, 2000),): 16 for n in range(400)} == groups
    saved = sum(15 * 2000 for _ in groups) / sum(
        job.prompt_tokens for job in trace.jobs
    )
    assert round(100 * saved, 1) == 85.2


def test_sizes_can_be_given() -> None:
    trace = parse_groups("groups:2x1:30+4:5")
    assert {Job("job", 0.0, 34, 5, (Span(n, 1, 30),)) for n in range(2)} == {
        *trace.jobs
    }


def test_members_of_a_group_do_not_come_together_and_always_in_the_same_order() -> None:
    jobs = prefix_groups(100, 8).jobs
    together = sum(one.content == two.content for one, two in pairwise(jobs))
    assert together < 20  # 7 are expected of 799 pairs drawn at random
    firsts = [job.content[0].first for job in jobs[:6] if job.content]
    assert FIRST == firsts


FIRST = [35, 83, 30, 46, 76, 22]
"""As sha256sum and sort order the numbers."""


@pytest.mark.parametrize(
    "spec",
    [
        "groups:",
        "groups:4",
        "groups:4x",
        "groups:0x4",
        "groups:4x4:10",
        "groups:4x4:10+5",
        "groups:4x4:10+0:5",
        "groups:-4x4",
        "groups:4x4:1+1:1:1",
        "group:4x4",
    ],
)
def test_a_wrong_name_is_told_the_form(spec: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_groups(spec)
    assert "groups:GROUPSxMEMBERS[:PREFIX+OWN:OUTPUT]" in str(caught.value)
    assert repr(spec) in str(caught.value)


def test_sizes_out_of_bounds_are_named() -> None:
    with pytest.raises(UsageError, match="own must be an integer >= 1; got 0"):
        prefix_groups(1, 1, own=0)
    with pytest.raises(UsageError, match=r"members must be an integer >= 1; got 1\.5"):
        prefix_groups(1, 1.5)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError, match=r"groups \* members must be below 2\*\*30"):
        prefix_groups(2**15, 2**15)
