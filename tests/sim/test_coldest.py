"""The requests that found least in the cache."""

import pytest

from fairq.sim import Coldest, Record, coldest, percentile
from fairq.sim._totals import total


def record(cached: int, wait: float, *, prompt: int = 100) -> Record:
    return Record("a", prompt, 5, 1.0, wait, wait + 1, cached)


def test_the_coldest_are_a_twentieth_rounded_up() -> None:
    records = [record(place, float(place)) for place in range(40)][::-1]
    assert Coldest(requests=2, first_token_p99_s=0.99) == coldest(records)
    waits = [0.0, 1.0, 2.0]
    more = [record(50, 9.0), *records]
    assert Coldest(requests=3, first_token_p99_s=percentile(waits, 99)) == coldest(more)


def test_their_equals_are_as_cold() -> None:
    # Else the first requests of a trace, which waited least, would stand for all.
    waits = [3.0, 1.0, 2.0]
    records = [*(record(7, wait) for wait in waits), record(8, 9.0)]
    expected = percentile(waits, 99)
    assert Coldest(requests=3, first_token_p99_s=expected) == coldest(records)


def test_rejected_requests_are_neither_cold_nor_warm() -> None:
    rejected = Record("a", 100, 5, 1.0, -1.0, -1.0)
    assert Coldest(requests=0, first_token_p99_s=None) == coldest([rejected])
    assert Coldest(requests=1, first_token_p99_s=4.0) == coldest(
        [rejected, record(9, 4.0)]
    )


def test_the_hit_rate_is_of_the_prompts_of_finished_requests() -> None:
    totals = total([record(30, 1.0), record(0, 9.0), Record("a", 400, 5, 0.5, -1, -1)])
    assert totals.cached_tokens == 30
    assert totals.hit_rate == 30 / 200
    # From the rejected one's arrival, the first, to 1 + 9 + 1.
    assert totals.makespan_s == pytest.approx(10.5)
    assert totals.seconds == 11.0


def test_nothing_finished_is_no_hit_and_takes_no_time() -> None:
    totals = total([Record("a", 400, 5, 0.5, -1.0, -1.0)])
    assert (0, 0.0, 0.0) == (totals.cached_tokens, totals.hit_rate, totals.makespan_s)
