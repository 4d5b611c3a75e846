"""Stories of a few moves from a fresh kernel, for the solver to fill in.

The induction of ``gate`` shows that no story breaks the bound. Here a rule is dropped,
and the solver looks for a story of three tenants that does: what happens, to whom, and
how much. Of a long story the plot is given, and the solver finds how much.
"""

from itertools import pairwise, product

import attrs
import z3

from property_tests.proofs.harness import largest, satisfiable, smallest, value
from property_tests.proofs.replay import Happening, Kind, Rule, Story

TENANTS = range(3)
Plot = tuple[tuple[Kind, int], ...]
NOBODY = -1


@attrs.frozen
class Told:
    """All numbers between two moves."""

    counter: list[z3.ArithRef]
    prepaid: list[z3.ArithRef]
    owed: list[z3.ArithRef]
    waits: list[z3.BoolRef]
    floor: z3.ArithRef
    left_last: z3.ArithRef

    @classmethod
    def named(cls, at: int) -> "Told":
        def numbers(what: str) -> list[z3.ArithRef]:
            return [z3.Real(f"{what}.{who}.{at}") for who in TENANTS]

        waits = [z3.Bool(f"waits.{who}.{at}") for who in TENANTS]
        return cls(
            numbers("counter"),
            numbers("prepaid"),
            numbers("owed"),
            waits,
            z3.Real(f"floor.{at}"),
            z3.Int(f"left_last.{at}"),
        )

    def terms(self) -> list[z3.ExprRef]:
        lists = (self.counter, self.prepaid, self.owed, self.waits)
        return [*(term for each in lists for term in each), self.floor, self.left_last]

    def put(self, name: str, who: int, term: z3.ExprRef) -> "Told":
        """The same, with one number of one tenant replaced."""
        terms = list(getattr(self, name))
        terms[who] = term
        return attrs.evolve(self, **{name: terms})

    def add(self, name: str, who: int, term: z3.ArithRef) -> "Told":
        return self.put(name, who, getattr(self, name)[who] + term)


@attrs.frozen
class Turn:
    """The unknowns of one move."""

    kind: z3.ArithRef
    subject: z3.ArithRef
    amount: z3.ArithRef
    chunk: z3.ArithRef
    outputs: z3.ArithRef

    @classmethod
    def named(cls, at: int) -> "Turn":
        chosen = z3.Ints(f"kind.{at} subject.{at}")
        return cls(*chosen, *z3.Reals(f"amount.{at} chunk.{at} outputs.{at}"))

    def read(self, model: z3.ModelRef) -> Happening:
        kind, subject = value(model, self.kind), value(model, self.subject)
        amounts = (self.amount, self.chunk, self.outputs)
        return Happening(
            Kind(int(kind)), int(subject), *(value(model, term) for term in amounts)
        )


@attrs.frozen
class Question:
    """A story of so many moves, under all rules but those dropped."""

    dropped: frozenset[Rule]
    moves: int
    plot: Plot = ()
    slack: z3.ArithRef = attrs.field(factory=lambda: z3.Real("Q"))
    most: z3.ArithRef = attrs.field(factory=lambda: z3.Real("O"))
    ahead: z3.ArithRef = attrs.field(factory=lambda: z3.Real("P"))

    @property
    def bound(self) -> z3.ArithRef:
        return self.slack + self.most + self.ahead

    def facts(self) -> list[z3.BoolRef]:
        """Everything that a story obeys."""
        facts = [self.slack >= 0, self.most >= 0, self.ahead >= 0, _fresh()]
        told = [Told.named(at) for at in range(self.moves + 1)]
        for at, (now, then) in enumerate(pairwise(told)):
            facts.append(self._moves(now, Turn.named(at), then))
        for at, (kind, who) in enumerate(self.plot):
            turn = Turn.named(at)
            facts.append(z3.And(turn.kind == kind.value, turn.subject == who))
        return facts

    def ends_with(self, gap: z3.ArithRef, *, charged: bool = False) -> z3.BoolRef:
        """The first is ahead of the second by so much, and both wait."""
        end = Told.named(self.moves)
        ahead = end.counter[0] - end.counter[1]
        if not charged:
            ahead -= end.prepaid[0] - end.prepaid[1]
        return z3.And(end.waits[0], end.waits[1], ahead >= gap)

    def answer(self, *wanted: z3.BoolRef) -> tuple[Story, list[Happening]]:
        """A story as wanted: what was asked for, to be told, and its moves."""
        model = satisfiable(*self.facts(), *wanted)
        moves = [Turn.named(at).read(model) for at in range(self.moves)]
        slack, most = value(model, self.slack), value(model, self.most)
        story = Story(slack, most, value(model, self.ahead), self.dropped)
        return story, moves

    # --- one move -------------------------------------------------------------------

    def _holds(self, rule: Rule) -> bool:
        return rule not in self.dropped

    def _moves(self, now: Told, turn: Turn, then: Told) -> z3.BoolRef:
        ways = [
            z3.And(
                turn.kind == kind.value,
                turn.subject == who,
                self._guard(now, turn, kind, who),
                _same(self._next(now, turn, kind, who), then),
            )
            for kind, who in product(Kind, TENANTS)
        ]
        amounts = (turn.amount >= 0, turn.chunk >= 0, turn.outputs >= 0)
        return z3.And(*amounts, z3.Or(*ways))

    def _guard(self, now: Told, turn: Turn, kind: Kind, who: int) -> z3.BoolRef:
        match kind:
            case Kind.ARRIVE:
                return z3.Not(now.waits[who])
            case Kind.ADMIT | Kind.ADMIT_LAST:
                return self._may_enter(now, turn, who)
            case Kind.OUTPUT:
                return turn.amount <= now.owed[who]
            case Kind.COMPUTE | Kind.REFUND:
                return turn.amount <= now.prepaid[who]
            case Kind.DEPART:
                return now.waits[who]

    def _may_enter(self, now: Told, turn: Turn, who: int) -> z3.BoolRef:
        prepaid = now.prepaid[who] + turn.amount - turn.chunk
        guard = [now.waits[who], prepaid >= 0]
        for other in TENANTS:
            gate = now.counter[who] <= now.counter[other] + self.slack
            waits, computed = now.waits[other], now.prepaid[other] == 0
            if self._holds(Rule.GATE):
                guard.append(z3.Implies(waits, gate))
            if self._holds(Rule.IN_ORDER):
                guard.append(z3.Or(waits, computed))
        if self._holds(Rule.PREPAID):
            guard.append(prepaid <= self.ahead)
        if self._holds(Rule.COMMITMENT):
            owed = now.owed[who] + turn.outputs
            guard.append(turn.amount + owed <= self.most)
        return z3.And(*guard)

    def _next(self, now: Told, turn: Turn, kind: Kind, who: int) -> Told:
        match kind:
            case Kind.ARRIVE:
                return self._joined(now, who)
            case Kind.ADMIT:
                return _entered(now, turn, who)
            case Kind.ADMIT_LAST:
                return _left(_entered(now, turn, who), who)
            case Kind.OUTPUT:
                charged = now.add("counter", who, turn.amount)
                return charged.add("owed", who, -turn.amount)
            case Kind.COMPUTE:
                return now.add("prepaid", who, -turn.amount)
            case Kind.REFUND:
                return self._refunded(now, turn, who)
            case Kind.DEPART:
                return _left(now, who)

    def _joined(self, now: Told, who: int) -> Told:
        now = self._raised(now)
        lifted = largest(now.counter[who], now.floor)
        if not self._holds(Rule.LIFT_OF_RUNNING):
            idle = z3.And(now.owed[who] == 0, now.prepaid[who] == 0)
            lifted = z3.If(idle, lifted, now.counter[who])
        if self._holds(Rule.LIFT):
            now = now.put("counter", who, lifted)
        return now.put("waits", who, z3.BoolVal(val=True))

    def _refunded(self, now: Told, turn: Turn, who: int) -> Told:
        if self._holds(Rule.FLOOR_FIRST):
            now = self._raised(now)
        now = now.add("counter", who, -turn.amount)
        if self._holds(Rule.REFUND_OF_BOTH):
            now = now.add("prepaid", who, -turn.amount)
        return now

    def _raised(self, now: Told) -> Told:
        lowest = now.floor
        if self._holds(Rule.LAST_LEFT):
            for who in TENANTS:
                last = now.left_last == who
                lowest = z3.If(last, now.counter[who], lowest)
        anybody = z3.BoolVal(val=False)
        for who in TENANTS:
            lower = z3.If(anybody, smallest(lowest, now.counter[who]), now.counter[who])
            lowest = z3.If(now.waits[who], lower, lowest)
            anybody = z3.Or(anybody, now.waits[who])
        return attrs.evolve(now, floor=largest(now.floor, lowest))


def _fresh() -> z3.BoolRef:
    told = Told.named(0)
    numbers = [*told.counter, *told.prepaid, *told.owed, told.floor]
    zeros = [number == 0 for number in numbers]
    idle = [z3.Not(waits) for waits in told.waits]
    return z3.And(told.left_last == NOBODY, *zeros, *idle)


def _same(one: Told, other: Told) -> z3.BoolRef:
    return z3.And(*(a == b for a, b in zip(one.terms(), other.terms(), strict=True)))


def _entered(now: Told, turn: Turn, who: int) -> Told:
    now = now.add("counter", who, turn.amount).add("owed", who, turn.outputs)
    return now.add("prepaid", who, turn.amount - turn.chunk)


def _left(now: Told, who: int) -> Told:
    gone = now.put("waits", who, z3.BoolVal(val=False))
    return attrs.evolve(gone, left_last=z3.IntVal(who))
