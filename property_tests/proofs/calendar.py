"""Counting outputs lazily is counting them one by one.

Statement. A tenant whose ``decoding`` members produce one token each per step has
produced ``offset + decoding * tick`` tokens, if ``offset`` grows by 1 - tick when a
member joins (its first token comes with the step that ends its prompt, after the tick)
and by tick when one leaves (``Lifecycle.sample``, ``_stop_rate``, ``Tenant.outputs``);
likewise ``Batch.produced``, and ``Sequence.produced`` with its collected tokens. For
all numbers of steps, and joins and leaves in any order.

Hypothesis: the clock advances before first tokens are counted (``Draft.apply``).

Proof. By induction over the moves: if it is so before a move it is so after it. The
invariant speaks of one tenant, and the moves of others change nothing in it but the
tick, which ``advance`` covers. decoding * tick is not linear, but a move changes one of
the two by one, so it changes the product by the other: both sides are the same
polynomial, and that is all the solver has to see.

Source: fairq (``Tenant.outputs``).
"""

from collections.abc import Callable

import attrs
import z3

from property_tests.proofs.theorem import Theorem


@attrs.frozen
class Rate:
    """The lazy numbers of a tenant, and the true one."""

    offset: z3.ArithRef
    decoding: z3.ArithRef
    tick: z3.ArithRef
    outputs: z3.ArithRef
    """Counted one by one."""

    def agrees(self) -> z3.BoolRef:
        return self.outputs == self.offset + self.decoding * self.tick


Move = Callable[[Rate], Rate]


def rate() -> Rate:
    """Any."""
    return Rate(*z3.Ints("offset decoding tick outputs"))


def advance(now: Rate) -> Rate:
    """A step: each decoding member has one token more."""
    return attrs.evolve(now, tick=now.tick + 1, outputs=now.outputs + now.decoding)


def join(now: Rate) -> Rate:
    """The last chunk of a prompt yields the first token."""
    return attrs.evolve(
        now,
        offset=now.offset + 1 - now.tick,
        decoding=now.decoding + 1,
        outputs=now.outputs + 1,
    )


def leave(now: Rate) -> Rate:
    """A member is over, or preempted."""
    return attrs.evolve(now, offset=now.offset + now.tick, decoding=now.decoding - 1)


def enter_batch(now: Rate) -> Rate:
    """``Batch.produced`` counts what a member had produced when it was preempted."""
    tokens = z3.Int("tokens")
    return attrs.evolve(now, offset=now.offset + tokens, outputs=now.outputs + tokens)


def leave_batch(now: Rate) -> Rate:
    """And no more what a member had that is gone."""
    tokens = z3.Int("tokens")
    gone = leave(now)
    return attrs.evolve(gone, offset=gone.offset - tokens, outputs=now.outputs - tokens)


def step_with_a_join(now: Rate) -> Rate:
    """As ``Draft.apply`` has it: first the clock, then first tokens."""
    return join(advance(now))


MOVES: dict[str, Move] = {
    "advance": advance,
    "join": join,
    "leave": leave,
    "enter the batch": enter_batch,
    "leave the batch": leave_batch,
    "step with a join": step_with_a_join,
}


def _forget_first_token(now: Rate) -> Rate:
    return attrs.evolve(join(now), offset=now.offset - now.tick)


def _join_one_tick_late(now: Rate) -> Rate:
    return attrs.evolve(join(now), offset=now.offset + 1 - (now.tick + 1))


def _leave_one_tick_early(now: Rate) -> Rate:
    return attrs.evolve(leave(now), offset=now.offset + now.tick - 1)


def _leave_without_settling(now: Rate) -> Rate:
    return attrs.evolve(leave(now), offset=now.offset)


def _join_before_the_clock(now: Rate) -> Rate:
    """The truth is as in a step with a join; the lazy numbers have another order."""
    lazy = advance(join(now))
    return attrs.evolve(lazy, outputs=step_with_a_join(now).outputs)


WRONG_MOVES: dict[str, Move] = {
    "the first token counts": _forget_first_token,
    "who joins starts at this tick": _join_one_tick_late,
    "who leaves stops at this tick": _leave_one_tick_early,
    "who leaves settles": _leave_without_settling,
    "the clock advances before first tokens": _join_before_the_clock,
}


def keeps(move: Move) -> Theorem:
    """If lazy and true numbers agree, they do so after a move."""
    now = rate()
    given = (now.agrees(), now.decoding >= 1, now.tick >= 0, now.outputs >= 0)
    return Theorem(move(now).agrees(), given)


# --- one sequence -------------------------------------------------------------------


@attrs.frozen
class Outputs:
    """Of a decoding sequence: what is collected, and the true number."""

    length: z3.ArithRef
    collected: z3.ArithRef
    tick: z3.ArithRef
    produced: z3.ArithRef
    most: z3.ArithRef
    """``max_tokens``."""

    def agrees(self) -> z3.BoolRef:
        return self.produced == self.length + self.tick - self.collected

    def end(self) -> z3.ArithRef:
        """``Batch._last_tick``."""
        return self.collected + self.most - self.length


def outputs() -> Outputs:
    """Any, with true numbers."""
    return Outputs(*z3.Ints("length collected tick produced most"))


def collect(now: Outputs) -> Outputs:
    """The tokens since the last time are put where they belong."""
    missing = now.tick - now.collected
    return attrs.evolve(now, length=now.length + missing, collected=now.tick)


def produce(now: Outputs) -> Outputs:
    """A step."""
    return attrs.evolve(now, tick=now.tick + 1, produced=now.produced + 1)


def ends_on_time(late: int = 0) -> Theorem:
    """It has produced its last token at the tick in the calendar, not before.

    Neither a step nor collecting moves that tick or makes the numbers disagree.
    """
    now = outputs()
    due = now.tick == now.end() + late
    kept = [
        z3.And(after.agrees(), after.end() == now.end())
        for after in (collect(now), produce(now))
    ]
    goal = z3.And(due == (now.produced == now.most), *kept)
    return Theorem(goal, (now.agrees(), now.collected <= now.tick))
