"""The sentence that a demo ends with."""

from fairq.sim import Outcome, Run


def verdict(fcfs: Outcome, vtc: Outcome, cost: str) -> str:
    """What the light tenants gained under VTC, and what it cost the machine."""
    assert fcfs.light is not None  # noqa: S101  # the traces of demos have light tenants
    assert vtc.light is not None  # noqa: S101  # as above
    ratio = fcfs.light.mean / vtc.light.mean
    return (
        f"Under VTC the light tenants get their first token {ratio:.1f} times sooner "
        f"({vtc.light.mean:.1f} s and not {fcfs.light.mean:.1f} s), {cost}."
    )


def throughput(fcfs: Outcome, vtc: Outcome) -> str:
    """The cost where steps take the time of a model."""
    percent = 100 * vtc.tokens_per_s / fcfs.tokens_per_s
    return f"at {percent:.1f} % of the throughput of FCFS"


def steps(fcfs: Run, vtc: Run) -> str:
    """The cost where times are measured: they depend on what else the machine does."""
    return f"in {vtc.totals.steps} steps and not {fcfs.totals.steps}"
