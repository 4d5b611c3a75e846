"""The lemma of the gate, for any number of tenants, by induction.

Statement. Q is the slack. O is the most a tenant is committed to right after an
admission: the prompt just charged and the outputs its members may still produce. P is
the most a tenant has prepaid between steps. At every moment, for tenants i and j that
both wait,

    (c_i - p_i) - (c_j - p_j) <= Q + O + P

for the counters c and their prepaid parts p; and c_i - c_j <= Q + O where nothing is
ever refunded. So over an interval in which both wait (no lifts) the service executed
for them differs by at most 2 (Q + O + P) per weight, and what is charged to them by at
most 2 (Q + O) without refunds.

Hypotheses, each a line of the kernel: who begins to wait is lifted to the floor, also
with members running (``VirtualCounters.join``); when nobody waits, to who left last
(``_raise_floor``); who is admitted is within Q of the smallest counter of those that
wait (``Planner._admit``; the turn is the counter, as with ``Vtc``); O and P are what
is measured; a refund lowers c and p alike. And one of two:

* *in order*: when somebody is admitted, the prompts of all members are computed with
  that step but perhaps its own (``Planner._continue_prompts`` comes first, and
  ``_admit`` goes on only while budget is left);
* *floor first*: a refund finds the floor up to date (``VirtualCounters.refund``).

A kernel whose plans are answered at once has both. While a plan is outstanding, the
floor that a refund finds may be too low, since tenants that the plan takes whole are
still in the heap: then the first carries the proof.

Moments. A request in an outstanding plan does not wait any more, so an admission is one
transition: it passes the gate, is charged, and its first chunk is computed. A plan that
fails was none. What is admitted together is admitted one after the other.

Invariant. The ghost v is the largest of all minima that the gate or a lift has ever
looked at. For each tenant: c + owed <= v + Q + O; and c - p >= v - P while it waits.
The kernel's floor f may lag behind v, which is what ``_mode`` is about.

Quantifiers. The invariant is a conjunction over tenants, and a transition changes one
of them, the subject, and numbers that all share. So it is enough to show it for the
subject and for one arbitrary bystander, from the invariant for the subject, for that
bystander and for the witness of the minimum: "the smallest counter of those that wait"
is at most that of the subject and that of the bystander, if they wait, and is the
counter of some tenant that waits: one of these two or any other. No other instance of
"for all tenants" is used, so the proof holds for any number of them.

Sources: start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996; IEEE/ACM ToN 1997)
for the floor; VTC (Sheng et al., OSDI 2024) for counters, lift and Lemma 4.3; the gate,
P and refunds are fairq's (docs/fairness.md).
"""

from enum import Enum, auto

import attrs
import z3

from property_tests.proofs.harness import largest


class Way(Enum):
    """What takes care of refunds."""

    IN_ORDER = auto()
    FLOOR_FIRST = auto()
    NO_REFUNDS = auto()


@attrs.frozen
class Tenant:
    """What the proof knows of one tenant."""

    counter: z3.ArithRef
    prepaid: z3.ArithRef
    owed: z3.ArithRef
    waits: z3.BoolRef
    left_last: z3.BoolRef
    """It is the one that left the queue last."""

    @property
    def executed(self) -> z3.ArithRef:
        return self.counter - self.prepaid


@attrs.frozen
class Shared:
    """What all tenants have in common."""

    v: z3.ArithRef
    floor: z3.ArithRef
    nobody: z3.BoolRef
    """Nobody waits."""
    any_left: z3.BoolRef
    """Somebody has left the queue, and is remembered."""
    mode: z3.BoolRef
    """See ``_mode``."""


Q, O, P = z3.Reals("Q O P")  # noqa: E741  # their names in docs/fairness.md


def tenant(name: str) -> Tenant:
    """Any tenant."""
    numbers = z3.Reals(f"{name}.counter {name}.prepaid {name}.owed")
    return Tenant(*numbers, *z3.Bools(f"{name}.waits {name}.left_last"))


def shared() -> Shared:
    """Any state of what is shared."""
    return Shared(*z3.Reals("v floor"), *z3.Bools("nobody any_left mode"))


# --- the invariant ------------------------------------------------------------------


def of_all(way: Way, g: Shared) -> z3.BoolRef:
    """The part that names no tenant."""
    reliable = {
        Way.IN_ORDER: z3.Or(g.floor >= g.v, g.mode),
        Way.FLOOR_FIRST: z3.Or(g.floor >= g.v, g.mode),
        Way.NO_REFUNDS: z3.BoolVal(val=True),
    }[way]
    unlifted = z3.And(g.nobody, z3.Not(g.any_left))
    return z3.And(
        Q >= 0,
        O >= 0,
        P >= 0,
        g.floor >= 0,
        g.floor <= g.v,
        reliable,
        z3.Implies(unlifted, _reaches(way, g, g.floor, z3.RealVal(0))),
    )


def of_each(way: Way, g: Shared, t: Tenant) -> z3.BoolRef:
    """The part for each tenant."""
    stands_for_all = z3.And(g.nobody, t.left_last)
    return z3.And(
        0 <= t.owed,
        t.owed <= O,
        0 <= t.prepaid,
        t.prepaid <= P,
        t.counter + t.owed <= g.v + Q + O,
        z3.Implies(t.left_last, g.any_left),
        z3.Implies(t.waits, z3.Not(g.nobody)),
        z3.Implies(t.waits, _behind(way, g, t)),
        z3.Implies(
            stands_for_all,
            z3.Or(
                _reaches(way, g, t.counter, t.prepaid),
                _reaches(way, g, g.floor, z3.RealVal(0)),
            ),
        ),
        z3.Implies(g.mode, _mode(way, g, t)),
    )


def _behind(way: Way, g: Shared, t: Tenant) -> z3.BoolRef:
    """How far a tenant that waits can be behind v."""
    if way is Way.NO_REFUNDS:
        return t.counter >= g.v
    return t.executed >= g.v - P


def _reaches(
    way: Way, g: Shared, counter: z3.ArithRef, prepaid: z3.ArithRef
) -> z3.BoolRef:
    """What the floor will be raised to when nobody waits is high enough."""
    if way is Way.NO_REFUNDS:
        return counter >= g.v
    fresh = z3.And(g.mode, way is Way.FLOOR_FIRST)
    return z3.And(counter - prepaid >= g.v - P, z3.Implies(fresh, counter >= g.v))


def _mode(way: Way, g: Shared, t: Tenant) -> z3.BoolRef:
    """Why nobody minds a floor below v.

    In order: whoever has prepaid something is not far behind, so a lift to v - P is
    enough. Floor first: the next look at the minimum will raise it to v.
    """
    if way is Way.IN_ORDER:
        return z3.Or(t.prepaid == 0, t.executed >= g.v - P)
    if way is Way.FLOOR_FIRST:
        return z3.Implies(t.waits, t.counter >= g.v)
    return z3.BoolVal(val=True)


def start(g: Shared, t: Tenant) -> z3.BoolRef:
    """A fresh kernel."""
    zeros = [g.v, g.floor, t.counter, t.prepaid, t.owed]
    nothing = [t.waits, t.left_last, g.any_left, g.mode, z3.Not(g.nobody)]
    return z3.And(
        Q >= 0,
        O >= 0,
        P >= 0,
        *(number == 0 for number in zeros),
        *(z3.Not(flag) for flag in nothing),
    )


# --- what follows -------------------------------------------------------------------


def gap_is_bounded(way: Way, i: Tenant, j: Tenant) -> z3.BoolRef:
    """Of two that wait, nobody is further ahead than the bound."""
    both = z3.And(i.waits, j.waits)
    if way is Way.NO_REFUNDS:
        return z3.Implies(both, i.counter - j.counter <= Q + O)
    return z3.Implies(both, i.executed - j.executed <= Q + O + P)


def service_is_bounded(bound: z3.ArithRef) -> tuple[z3.BoolRef, list[z3.BoolRef]]:
    """The theorem, and its hypotheses: the lemma at both ends, no lift between."""
    before = z3.Reals("i.before j.before")
    after = z3.Reals("i.after j.after")
    service = z3.Reals("W_i W_j")
    hypotheses = [
        end == begin + work
        for begin, end, work in zip(before, after, service, strict=True)
    ]
    for one, other in (before, before[::-1], after, after[::-1]):
        hypotheses.append(one - other <= bound)
    difference = service[0] - service[1]
    return z3.And(difference <= 2 * bound, -difference <= 2 * bound), hypotheses


def raised(g: Shared, lowest: z3.ArithRef) -> z3.ArithRef:
    """``_raise_floor``: nothing to be measured against leaves it."""
    measured = z3.Or(z3.Not(g.nobody), g.any_left)
    return z3.If(measured, largest(g.floor, lowest), g.floor)
