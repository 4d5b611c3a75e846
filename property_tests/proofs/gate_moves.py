"""The transitions of the gate's lemma: one for each way in which a kernel moves.

Each says when it can happen and what the subject, a bystander and the shared numbers
are afterwards. ``lowest`` is the smallest counter of those that wait or, when nobody
does, that of who left last.
"""

from collections.abc import Callable

import attrs
import z3

from property_tests.proofs.gate import O, P, Q, Shared, Tenant, Way, raised, tenant
from property_tests.proofs.harness import largest


@attrs.frozen
class Before:
    """A state, seen by the one who moves."""

    way: Way
    all: Shared
    subject: Tenant
    bystander: Tenant
    witness: Tenant
    lowest: z3.ArithRef

    def is_lowest(self) -> z3.BoolRef:
        """What ``lowest`` means, for the three tenants that are looked at."""
        three = (self.subject, self.bystander, self.witness)
        waiting = [
            *(z3.Implies(t.waits, self.lowest <= t.counter) for t in three),
            z3.Or(*(z3.And(t.waits, self.lowest == t.counter) for t in three)),
        ]
        left = z3.Or(*(z3.And(t.left_last, self.lowest == t.counter) for t in three))
        last = z3.Implies(self.all.any_left, left)
        return z3.And(
            z3.If(self.all.nobody, last, z3.And(*waiting)),
            z3.AtMost(*(t.left_last for t in three), 1),
        )


@attrs.frozen
class After:
    """When a move can happen, and what is then."""

    guard: z3.BoolRef
    all: Shared
    subject: Tenant
    bystander: Tenant


Move = Callable[[Before], After]


def _raise(before: Before) -> Shared:
    """The floor is brought up to date; v with it."""
    g = before.all
    return _to(before, raised(g, before.lowest))


def _to(before: Before, floor: z3.ArithRef) -> Shared:
    g = before.all
    v = largest(g.v, floor)
    keeps = before.way is Way.IN_ORDER
    mode = z3.And(g.mode, v == g.v, keeps)
    return attrs.evolve(g, v=v, floor=floor, mode=mode)


def _leave(before: Before, g: Shared, subject: Tenant) -> After:
    """The subject waits no longer; perhaps it was the last one."""
    nobody = z3.Bool("nobody.after")
    others = (before.bystander, before.witness)
    return After(
        z3.And(*(z3.Implies(nobody, z3.Not(t.waits)) for t in others)),
        attrs.evolve(g, nobody=nobody, any_left=z3.BoolVal(val=True)),
        attrs.evolve(
            subject, waits=z3.BoolVal(val=False), left_last=z3.BoolVal(val=True)
        ),
        attrs.evolve(before.bystander, left_last=z3.BoolVal(val=False)),
    )


def _join(before: Before, subject: Tenant) -> After:
    g = _raise(before)
    lifted = largest(subject.counter, g.floor)
    return After(
        z3.Not(before.subject.waits),
        attrs.evolve(g, nobody=z3.BoolVal(val=False)),
        attrs.evolve(subject, counter=lifted, waits=z3.BoolVal(val=True)),
        before.bystander,
    )


def _alone(before: Before, guard: z3.BoolRef, subject: Tenant) -> After:
    return After(guard, before.all, subject, before.bystander)


# --- the moves ----------------------------------------------------------------------


def arrive(before: Before) -> After:
    """A tenant begins to wait, with or without members running: it is lifted."""
    return _join(before, before.subject)


def preempt(before: Before) -> After:
    """A member goes back to its queue; what it may still produce is owed no more.

    When it is admitted again that is a commitment like any other.
    """
    subject, amount = before.subject, z3.Real("amount")
    rest = attrs.evolve(subject, owed=subject.owed - amount)
    less = z3.And(amount >= 0, amount <= subject.owed)
    join = _join(before, rest)
    back = attrs.evolve(join, guard=z3.And(less, join.guard))
    stays = _alone(before, z3.And(less, subject.waits), rest)
    return _either(subject.waits, stays, back)


def _either(which: z3.BoolRef, one: After, other: After) -> After:
    def pick(a: z3.ExprRef, b: z3.ExprRef) -> z3.ExprRef:
        return z3.If(which, a, b)

    def merge(a: Shared | Tenant, b: Shared | Tenant) -> list[z3.ExprRef]:
        pairs = zip(attrs.astuple(a), attrs.astuple(b), strict=True)
        return [pick(x, y) for x, y in pairs]

    return After(
        pick(one.guard, other.guard),
        Shared(*merge(one.all, other.all)),
        Tenant(*merge(one.subject, other.subject)),
        Tenant(*merge(one.bystander, other.bystander)),
    )


def _admitted(before: Before) -> After:
    """The gate is passed, the prompt charged, its first chunk computed."""
    subject, bystander, g = before.subject, before.bystander, before.all
    prompt, chunk, outputs = z3.Reals("prompt chunk outputs")
    entered = attrs.evolve(
        subject,
        counter=subject.counter + prompt,
        prepaid=subject.prepaid + prompt - chunk,
        owed=subject.owed + outputs,
    )
    guard = [
        subject.waits,
        subject.counter <= before.lowest + Q,
        prompt >= 0,
        chunk >= 0,
        outputs >= 0,
        entered.prepaid >= 0,
        entered.prepaid <= P,
        prompt + entered.owed <= O,
    ]
    if before.way is Way.IN_ORDER:
        computed = bystander.prepaid == 0
        guard.append(z3.Implies(z3.Not(bystander.waits), computed))
    v = largest(g.v, before.lowest)
    mode = {
        Way.IN_ORDER: z3.BoolVal(val=True),
        Way.FLOOR_FIRST: z3.Or(g.mode, before.lowest >= g.v),
        Way.NO_REFUNDS: g.mode,
    }[before.way]
    now = attrs.evolve(g, v=v, mode=mode)
    return After(z3.And(*guard), now, entered, bystander)


def admit(before: Before) -> After:
    """One of several requests of a tenant is admitted; the next move may be another."""
    return _admitted(before)


def admit_last(before: Before) -> After:
    """The only request that waits is admitted: its tenant leaves the queue."""
    after = _admitted(before)
    left = _leave(before, after.all, after.subject)
    return attrs.evolve(left, guard=z3.And(after.guard, left.guard))


def output(before: Before) -> After:
    """A token that was owed is produced and charged."""
    subject, amount = before.subject, z3.Real("amount")
    charged = attrs.evolve(
        subject, counter=subject.counter + amount, owed=subject.owed - amount
    )
    return _alone(before, z3.And(amount >= 0, amount <= subject.owed), charged)


def compute(before: Before) -> After:
    """A chunk of a prompt that was charged is computed."""
    subject, amount = before.subject, z3.Real("amount")
    settled = attrs.evolve(subject, prepaid=subject.prepaid - amount)
    return _alone(before, z3.And(amount >= 0, amount <= subject.prepaid), settled)


def finish(before: Before) -> After:
    """A member is over, and what it did not produce is owed no more."""
    subject, amount = before.subject, z3.Real("amount")
    over = attrs.evolve(subject, owed=subject.owed - amount)
    return _alone(before, z3.And(amount >= 0, amount <= subject.owed), over)


def refund(before: Before) -> After:
    """What was charged and will not be computed is given back.

    In order, the floor may be anything up to the minimum; else it is up to date.
    """
    subject, amount = before.subject, z3.Real("amount")
    back = attrs.evolve(
        subject, counter=subject.counter - amount, prepaid=subject.prepaid - amount
    )
    guard = [amount >= 0, amount <= subject.prepaid]
    if before.way is Way.NO_REFUNDS:
        guard.append(amount == 0)
    g = _raise(before)
    if before.way is Way.IN_ORDER:
        floor = z3.Real("floor.after")
        guard += [floor >= before.all.floor, floor <= g.floor]
        g = _to(before, floor)
    return After(z3.And(*guard), g, back, before.bystander)


def depart(before: Before) -> After:
    """The last request that waits is cancelled: its tenant leaves the queue."""
    left = _leave(before, before.all, before.subject)
    return attrs.evolve(left, guard=z3.And(before.subject.waits, left.guard))


def forget(before: Before) -> After:
    """A tenant without requests that is not above the floor is forgotten."""
    subject, g = before.subject, before.all
    idle = [z3.Not(subject.waits), subject.owed == 0, subject.prepaid == 0]
    fresh = attrs.evolve(
        subject, counter=z3.RealVal(0), left_last=z3.BoolVal(val=False)
    )
    any_left = z3.And(g.any_left, z3.Not(subject.left_last))
    return After(
        z3.And(*idle, subject.counter <= g.floor),
        attrs.evolve(g, any_left=any_left),
        fresh,
        before.bystander,
    )


def raise_floor(before: Before) -> After:
    """The floor is brought up to date, for whatever reason."""
    return After(z3.BoolVal(val=True), _raise(before), before.subject, before.bystander)


MOVES: tuple[Move, ...] = (
    arrive,
    preempt,
    admit,
    admit_last,
    output,
    compute,
    finish,
    refund,
    depart,
    forget,
    raise_floor,
)


def before_any(way: Way, g: Shared) -> Before:
    """Any state, for a move to start from."""
    three = (tenant("subject"), tenant("bystander"), tenant("witness"))
    return Before(way, g, *three, z3.Real("lowest"))
