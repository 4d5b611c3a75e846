"""Each prompt position is charged once, and what is not computed is given back.

Statement. Of a request whose prompt has n positions, whatever is charged is what was
computed for the first time plus what is prepaid, after any number of admissions,
chunks, preemptions and whatever order of them; once it is over, what was charged is
what was computed for the first time. And everything computed is computed for the first
time or counted as recomputed.

Hypotheses: a chunk begins where the one before ended (``Draft.compute``); a high-water
mark is kept over preemptions (``Sequence.paid``); a refund gives back what is prepaid
(``Lifecycle.end``).

Proof. Induction over the moves of one request; charges of a tenant are the sum over its
requests, which no move of another request changes, so the sum agrees as well. Prices:
a charge is a whole number of tokens times a price that does not change, so it is linear
in the tokens, and a refund undoes a charge exactly, for all prices and numbers.

Sources: T8 of the tests for VTC (Sheng et al., OSDI 2024); the mark is fairq's.
"""

from collections.abc import Callable

import attrs
import z3

from property_tests.proofs.harness import largest, smallest
from property_tests.proofs.theorem import Theorem


@attrs.frozen
class Paying:
    """The charges of one request, and what was truly computed."""

    length: z3.ArithRef
    """Of the prompt."""
    charged: z3.ArithRef
    paid: z3.ArithRef
    prepaid: z3.ArithRef
    computed: z3.ArithRef
    reached: z3.ArithRef
    recomputed: z3.ArithRef
    first: z3.ArithRef
    """Prompt positions computed for the first time, counted one by one."""
    work: z3.ArithRef
    """Positions computed, counted one by one."""
    fresh: z3.ArithRef
    """Positions, of outputs as well, computed for the first time."""

    def agrees(self) -> z3.BoolRef:
        return z3.And(
            self.charged == self.first + self.prepaid,
            self.paid == self.first,
            self.first == smallest(self.reached, self.length),
            self.work == self.fresh + self.recomputed,
            self.fresh == self.reached,
            0 <= self.prepaid,
            self.paid + self.prepaid <= self.length,
            0 <= self.computed,
            self.computed <= self.reached,
        )


Move = Callable[[Paying], Paying]


def paying() -> Paying:
    """Any request."""
    names = [field.name for field in attrs.fields(Paying)]
    return Paying(*z3.Ints(" ".join(names)))


def admit(now: Paying) -> Paying:
    """Charge what is neither paid nor prepaid (``Sequence.unpaid``)."""
    unpaid = now.length - now.paid - now.prepaid
    return attrs.evolve(now, charged=now.charged + unpaid, prepaid=now.prepaid + unpaid)


def compute(now: Paying) -> Paying:
    """A chunk of known tokens (``Lifecycle.compute``)."""
    start, end = z3.Ints("start end")
    settled = largest(smallest(end, now.length) - now.paid, 0)
    again = largest(smallest(now.reached, end) - start, 0)
    mark = smallest(now.reached, now.length)
    return attrs.evolve(
        now,
        paid=now.paid + settled,
        prepaid=now.prepaid - settled,
        computed=end,
        reached=largest(now.reached, end),
        recomputed=now.recomputed + again,
        first=now.first + largest(smallest(end, now.length) - mark, 0),
        work=now.work + end - start,
        fresh=now.fresh + largest(end - largest(now.reached, start), 0),
    )


def decode(now: Paying) -> Paying:
    """One position more, never computed before; the kernel counts it when it leaves."""
    return attrs.evolve(
        now,
        computed=now.computed + 1,
        reached=now.reached + 1,
        work=now.work + 1,
        fresh=now.fresh + 1,
    )


def preempt(now: Paying) -> Paying:
    """Out of the batch: its KV is gone, its charge is kept."""
    return attrs.evolve(now, computed=z3.IntVal(0))


def preempt_without_mark(now: Paying) -> Paying:
    """As if nothing had been paid: the next admission charges everything again."""
    return attrs.evolve(preempt(now), paid=z3.IntVal(0), prepaid=z3.IntVal(0))


def starts_fresh() -> Theorem:
    """Lazy and true numbers agree when a request arrives."""
    now = paying()
    zeros = [n == 0 for n in attrs.astuple(now)[1:]]
    return Theorem(now.agrees(), (now.length >= 1, *zeros))


def keeps(move: Move) -> Theorem:
    """If they agree before an admission or a preemption, they do after it."""
    now = paying()
    return Theorem(move(now).agrees(), (now.agrees(), now.length >= 1))


def keeps_in_a_decode() -> Theorem:
    """The same for who decodes: all it ever knew is computed."""
    now = paying()
    caught_up = now.computed == now.reached
    return Theorem(
        decode(now).agrees(),
        (now.agrees(), now.length >= 1),
        {"who decodes has computed all": z3.And(caught_up, now.paid == now.length)},
    )


def keeps_in_a_chunk() -> Theorem:
    """The same for a chunk of a member of the batch: all of it has been charged."""
    now = paying()
    start, end = z3.Ints("start end")
    return Theorem(
        compute(now).agrees(),
        (now.agrees(), now.length >= 1, 0 <= start, start < end),
        {
            "a chunk begins where the one before ended": start == now.computed,
            "members have been charged": now.paid + now.prepaid == now.length,
        },
    )


def settles(*, everything: bool = False) -> Theorem:
    """After the refund at the end, what is charged is what was computed."""
    now = paying()
    refund = now.length if everything else now.prepaid
    return Theorem(now.charged - refund == now.first, (now.agrees(), now.length >= 1))


# --- prices -------------------------------------------------------------------------


def refund_undoes_charge() -> Theorem:
    """For whole prices: to the last digit, whatever else was charged."""
    price, before, tokens, other = z3.Ints("price before tokens other")
    charged = price * (before + tokens)
    back = charged + price * other - price * tokens
    return Theorem(back == price * (before + other), (price >= 0, tokens >= 0))


def refund_undoes_rounded_charge() -> Theorem:
    """Wrong: with a price of a third, and every charge rounded on its own."""
    tokens, part = z3.Ints("tokens part")
    rounded = tokens / 3 - part / 3
    return Theorem(rounded == (tokens - part) / 3, (0 <= part, part <= tokens))
