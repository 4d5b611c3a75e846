"""No block is lost or made: free + in tables + in the draft = the pool.

Statement. Whatever a plan takes, and whether it is committed or fails, the number of
free blocks, of blocks in tables, and of blocks that only the draft holds is that of the
pool.

Hypotheses: a draft takes no more than is free, counting what its victims free
(``Planner._grow``, ``rule.fits``); blocks of victims that are handed on are withdrawn
from the free ones when the plan is answered (``Draft._apply_preemptions``).

Quantifiers: blocks are only counted, so tables are one number, their sum; that no block
is in two of them is for ``property_tests/test_ledger.py``.

Source: fairq (``BlockLedger``, ``Draft``).
"""

import attrs
import z3

from property_tests.proofs.harness import smallest
from property_tests.proofs.theorem import Theorem


@attrs.frozen
class Pool:
    """Where the blocks are; ``victims`` is a part of ``held``."""

    free: z3.ArithRef
    held: z3.ArithRef
    drafted: z3.ArithRef
    """Taken from the free ones, in no table yet."""
    victims: z3.ArithRef
    """In tables of members that the draft throws out."""
    handed_on: z3.ArithRef
    """Of those, promised to others."""

    def conserved(self) -> z3.BoolRef:
        return z3.And(
            self.free + self.held + self.drafted == z3.Int("total"),
            0 <= self.handed_on,
            self.handed_on <= self.victims,
            self.victims <= self.held,
            0 <= self.free,
            0 <= self.drafted,
        )


def pool() -> Pool:
    """Any."""
    return Pool(*z3.Ints("free held drafted victims handed_on"))


def take() -> Theorem:
    """``Draft._take``: first the free blocks, then those of victims."""
    now, count = pool(), z3.Int("count")
    fresh = smallest(count, now.free)
    after = attrs.evolve(
        now,
        free=now.free - fresh,
        drafted=now.drafted + fresh,
        handed_on=now.handed_on + count - fresh,
    )
    enough = count <= now.free + now.victims - now.handed_on
    return Theorem(
        after.conserved(),
        (now.conserved(), count >= 0),
        {"no more is taken than there is": enough},
    )


def commit(*, withdraw: bool = True) -> Theorem:
    """Victims give back all they held; the draft's go into tables."""
    now, nothing = pool(), z3.IntVal(0)
    gone = now.handed_on if withdraw else nothing
    after = Pool(
        now.free + now.victims - gone,
        now.held - now.victims + now.drafted + now.handed_on,
        nothing,
        nothing,
        nothing,
    )
    return Theorem(after.conserved(), (now.conserved(),))


def fail() -> Theorem:
    """``Draft.abandon``: as it was."""
    now, nothing = pool(), z3.IntVal(0)
    after = Pool(now.free + now.drafted, now.held, nothing, nothing, nothing)
    return Theorem(after.conserved(), (now.conserved(),))


def end() -> Theorem:
    """A member that no draft holds gives back its table."""
    now, blocks = pool(), z3.Int("blocks")
    after = attrs.evolve(now, free=now.free + blocks, held=now.held - blocks)
    alone = blocks <= now.held - now.victims
    given = (now.conserved(), blocks >= 0, alone)
    return Theorem(after.conserved(), given)
