"""Weights must name tenants that exist: a typing error would pass unseen."""

from fairq._closest import did_you_mean
from fairq.errors import UsageError
from fairq.policy import Policy
from fairq.sim._values import Trace


def check_weights(policy: Policy, trace: Trace) -> None:
    """Check that every weight is for a tenant of the trace. Costs O(jobs).

    Raises:
        UsageError: one is not; the message lists the known ones and the closest.
    """
    known = dict.fromkeys(job.client for job in trace.jobs)
    for name in policy.weights:
        if name not in known:
            hint = did_you_mean(name, known)
            msg = (
                f"Policy.weights names {name!r}, which is not in the trace "
                f"{trace.name!r}.{hint} Its tenants are: {', '.join(sorted(known))}."
            )
            raise UsageError(msg)
