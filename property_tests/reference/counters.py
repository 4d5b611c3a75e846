"""The tenants that are remembered: who waits, lifts, refunds, and who is forgotten."""

from fractions import Fraction

from property_tests.reference.rules import Rules
from property_tests.reference.tenant import TenantModel


class CountersModel:
    """Virtual counters. Without a gate nobody is lifted, and who rests is forgotten."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.tenants: dict[str, TenantModel] = {}
        """In the order in which they were first seen."""
        self.backlog: list[TenantModel] = []
        """Who waits."""
        self.last_left: TenantModel | None = None
        self.arriving: list[TenantModel] = []
        """Who got requests while a plan is outstanding, in the order of the first."""
        self.floor = Fraction(0)
        """The largest that the smallest waiting counter has ever been."""
        self.noted = Fraction(0)
        """The floor when a tenant last began to wait, or got a refund: who rests at
        this or below is forgotten. The documentation has one floor only; that this
        one lags behind was taken from the kernel. It shows in nothing but how long a
        snapshot lists a tenant, and goes on with its totals."""

    def tenant(self, name: str) -> TenantModel:
        """It is made when it is not remembered."""
        if name not in self.tenants:
            prompt = self._rules.price(self._rules.prompt_cost, name)
            output = self._rules.price(self._rules.output_cost, name)
            self.tenants[name] = TenantModel(name, prompt, output)
        return self.tenants[name]

    # --- the floor ------------------------------------------------------------------

    def look(self) -> None:
        """When nobody waits, the tenant that left the queue last is looked at."""
        levels = [tenant.counter for tenant in self.backlog]
        if not levels and self.last_left is not None:
            levels = [self.last_left.counter]
        self.floor = max(self.floor, min(levels, default=self.floor))

    def begins(self, tenant: TenantModel) -> None:
        """It begins to wait: absence earns no credit."""
        if self._rules.gate is not None:
            self.look()
            self.noted = self.floor
            tenant.counter = max(tenant.counter, self.floor)
            for each in list(self.tenants.values()):
                if each.rests and each.counter <= self.noted:
                    self._forget(each)
        self.backlog.append(tenant)

    def stops(self, tenant: TenantModel) -> None:
        """It has nothing more that waits, if it waited."""
        if tenant in self.backlog:
            self.backlog.remove(tenant)
            self.last_left = tenant
        self.look()

    def refund(self, tenant: TenantModel, positions: int) -> None:
        """Take back a charge for what was never computed."""
        if positions:
            self.look()
            self.noted = self.floor
            tenant.counter -= tenant.prompt_price * positions

    # --- oblivion -------------------------------------------------------------------

    def rest(self, tenant: TenantModel) -> None:
        """Its last request is over."""
        if self._rules.gate is None or tenant.counter <= self.noted:
            self._forget(tenant)

    def _forget(self, tenant: TenantModel) -> None:
        del self.tenants[tenant.name]
        if self.last_left is tenant:
            self.last_left = None
