"""All there is between two calls, apart from the outstanding step."""

from fractions import Fraction

from property_tests.reference.admission import AdmissionModel
from property_tests.reference.counters import CountersModel
from property_tests.reference.request import RequestModel
from property_tests.reference.rules import Rules


class State:
    """Requests, batch, pool and tenants."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.counters = CountersModel(rules)
        self.admission = AdmissionModel(rules)
        self.requests: dict[int, RequestModel] = {}
        """The live ones, by arrival."""
        self.prefilling: list[RequestModel] = []
        """In the order of admission."""
        self.decoding: list[RequestModel] = []
        """In the order of joining."""
        self.free = list(range(rules.blocks))
        """The pool as a stack, the next block first."""
        self.leaving: list[int] = []
        """Members that are gone and that the backend has not been told of."""
        self.steps = 0
        self.preemptions = 0
        self.recomputed = 0
        self.commitment = Fraction(0)
        """The largest so far: O of the bound."""
        self.prepaid = Fraction(0)
        """The largest so far: P of the bound."""

    @property
    def batch(self) -> list[RequestModel]:
        """Everybody who has a slot."""
        return self.decoding + self.prefilling

    @property
    def waiting(self) -> int:
        """Requests in queues."""
        return sum(len(each.queue) for each in self.counters.tenants.values())

    @property
    def gap_bound(self) -> Fraction | None:
        """2 (Q + O + P)."""
        gate = self.rules.gate
        return None if gate is None else 2 * (gate + self.commitment + self.prepaid)
