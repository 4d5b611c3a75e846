"""What a discipline owes, alone and in a kernel."""

from typing import Final

from fairq.testing._obligations import Obligation

SHAPE: Final = Obligation(
    "shape",
    "a discipline has a name, a slack and a turn, and a policy takes it",
    "Give it the three members of fairq.disciplines.Discipline; hand check_discipline "
    "something that makes one, such as the class.",
)
NAME: Final = Obligation(
    "name",
    "name is one lower-case word that never changes",
    "Use letters, digits, '-' and '_': reports and scenarios show it.",
)
SLACK: Final = Obligation(
    "slack",
    "slack is None or a finite number >= 0 that never changes",
    "Fix it when the discipline is made. None means that there is no gate.",
)
RAISES: Final = Obligation(
    "raises",
    "turn does not raise, whatever the tenant",
    "Every counter >= 0 and every oldest >= 0 can come, however large.",
)
VIEW: Final = Obligation(
    "view",
    "turn looks at counter and oldest, and changes neither",
    "Who a tenant is must not matter; give it a weight instead (Policy.weights).",
)
INTEGER: Final = Obligation(
    "integer",
    "a turn is an integer",
    "Scale and round: counters are integers in 1/2**32 of a service unit.",
)
PURE: Final = Obligation(
    "pure",
    "the same tenant has the same turn, whoever asks and how often",
    "Keep no state, draw nothing, read no clock.",
)
FALLS: Final = Obligation(
    "falls",
    "turn does not fall while requests of the tenant are admitted or served",
    "It must rise with counter and with oldest, or stay: the kernel keeps tenants in a "
    "heap of lower bounds.",
)
GATE: Final = Obligation(
    "gate",
    "with a slack the turn is the counter, or the counter in steps within the slack",
    "Return tenant.counter, or tenant.counter // step with width = 0 and a step of at "
    "most SCALE * slack; or give up the gate with slack = None: the bound is about "
    "counters.",
)
LIFT: Final = Obligation(
    "lift",
    "whoever joins the backlog is not below everybody in it",
    "With a gate the kernel lifts by turn: see that turn is the counter.",
)
BOUND: Final = Obligation(
    "bound",
    "the service gap stays within the bound that the kernel states",
    "See docs/fairness.md for what the bound rests on; turn must be the counter.",
)
CHARGES: Final = Obligation(
    "charges",
    "what is charged is what was executed",
    "The kernel charges; a turn that writes to the tenant can spoil that.",
)
PROGRESS: Final = Obligation(
    "progress",
    "all requests end when no more come",
    "Look for a turn that depends on anything but the tenant.",
)
WAITS: Final = Obligation(
    "waits",
    "how long a tenant waits does not depend on what it got long ago",
    "Give it a slack, so that newcomers are lifted, or go by arrival. If it is to "
    "starve some, say starves=True.",
)
SAME: Final = Obligation(
    "same",
    "the same calls give the same plans",
    "Keep no state, also none that instances share.",
)

ALL: Final = (
    *(SHAPE, NAME, SLACK, RAISES, VIEW, INTEGER, PURE, FALLS, GATE),
    *(LIFT, BOUND, CHARGES, PROGRESS, WAITS, SAME),
)
"""In the order in which they are checked."""
