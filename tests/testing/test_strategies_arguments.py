"""What the strategies refuse, at once and not when they are drawn."""

from collections.abc import Callable

import pytest

from fairq import UsageError
from fairq.testing import capacities, journals, plans, policies, requests, traces

WRONG: dict[str, Callable[[], object]] = {
    "requests: tenants must be names, at least one; got [].": (
        lambda: requests(tenants=[])
    ),
    "requests: tenants must be names, at least one; got 'pro'.": (
        lambda: requests(tenants="pro")
    ),
    "requests: tenants must be names, at least one; got [''].": (
        lambda: requests(tenants=[""])
    ),
    "requests: max_prompt must be an integer >= 1; got 0.": (
        lambda: requests(max_prompt=0)
    ),
    "requests: max_tokens must be an integer >= 1; got 1.5.": (
        lambda: requests(max_tokens=1.5)  # type: ignore[arg-type]  # wrong types are the test
    ),
    "requests: vocabulary must be an integer >= 1 and <= 2147483648; got 2147483649.": (
        lambda: requests(vocabulary=2**31 + 1)
    ),
    "capacities: min_blocks must be an integer >= 1; got 0.": (
        lambda: capacities(min_blocks=0)
    ),
    "capacities: max_blocks must be an integer >= 4; got 3.": (
        lambda: capacities(max_blocks=3)
    ),
    "capacities: block_sizes must not be empty; got ().": (
        lambda: capacities(block_sizes=())
    ),
    "capacities: block_sizes must be an integer >= 1; got 0.": (
        lambda: capacities(block_sizes=[4, 0])
    ),
    "capacities: max_sequences must be an integer >= 1; got True.": (
        lambda: capacities(max_sequences=True)
    ),
    "capacities: max_tokens_per_step must be an integer >= 1; got 0.": (
        lambda: capacities(max_tokens_per_step=0)
    ),
    "policies: tenants must be names, at least one; got ().": (
        lambda: policies(tenants=())
    ),
    "traces: tenants must be names, at least one; got ().": lambda: traces(tenants=()),
    "traces: max_jobs must be an integer >= 1; got 0.": lambda: traces(max_jobs=0),
    "traces: max_prompt must be an integer >= 1; got 0.": lambda: traces(max_prompt=0),
    "traces: max_tokens must be an integer >= 1; got 0.": lambda: traces(max_tokens=0),
    "traces: seconds must be a finite number >= 0; got -1.": (
        lambda: traces(seconds=-1)
    ),
    "journals: max_moves must be an integer >= 1; got 0.": (
        lambda: journals(max_moves=0)
    ),
    "journals: vocabulary must be an integer >= 1 and <= 2147483648; got 0.": (
        lambda: plans(vocabulary=0)
    ),
    "journals: capacity must be a Capacity; got int.": lambda: journals(capacity=4),  # type: ignore[arg-type]  # as above
    "journals: policy must be a Policy; got str.": lambda: plans(policy="vtc"),  # type: ignore[arg-type]  # as above
}


@pytest.mark.parametrize("message", WRONG)
def test_an_argument_out_of_its_range_is_refused_at_once(message: str) -> None:
    with pytest.raises(UsageError) as caught:
        WRONG[message]()
    assert message == str(caught.value)
