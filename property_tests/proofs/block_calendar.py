"""A decoding sequence gets a block exactly when it needs one, for all block sizes.

Statement. B is the block size. A sequence that began to decode at tick ``joined`` with
``computed`` positions computes position n = computed + tick - joined at a tick. Its
bucket, (joined - computed) mod B, comes round at that tick exactly when n is the first
position of a block; and when it is given a block whenever its bucket comes round, but
not at ``joined``, then at every tick n < places <= n + B for the places in its table:
it never lacks a block and never has one it does not need now or for n + 1.

Hypothesis: it is admitted with the blocks for its known tokens and one more
(``blocks_now``), so that it holds at ``joined``. (Who is to produce just one token more
is admitted with fewer, and never decodes.)

Proof. Induction over ticks. The division by B is spelled out: a = q B + r with
0 <= r < B. Of products with B the proof needs only that they are linear in the other
factor, and that no multiple of B but 0 lies strictly between -B and B. The solver is
asked for both; then the rest is linear, with one multiple of B as unknown.

Source: fairq (``Batch.due``, ``Batch._bucket``).
"""

import z3

from property_tests.proofs.theorem import Theorem

SIZE = z3.Int("B")


def only_zero_is_near() -> Theorem:
    """No multiple of B but 0 lies strictly between -B and B."""
    factor = z3.Int("k")
    multiple = factor * SIZE
    return Theorem(factor == 0, (SIZE >= 1, -SIZE < multiple, multiple < SIZE))


def multiples_add_up() -> Theorem:
    """The difference of multiples of B is the multiple by the difference."""
    a, b, c = z3.Ints("a b c")
    return Theorem(a * SIZE - b * SIZE - c * SIZE == (a - b - c) * SIZE, (SIZE >= 1,))


def _near_is_zero(multiple: z3.ArithRef) -> z3.BoolRef:
    """``only_zero_is_near`` for one multiple, by name."""
    return z3.Implies(z3.And(-SIZE < multiple, multiple < SIZE), multiple == 0)


def _is_rest(rest: z3.ArithRef) -> z3.BoolRef:
    return z3.And(0 <= rest, rest < SIZE)


def comes_round(late: int = 0) -> Theorem:
    """The bucket comes round exactly when the next position begins a block."""
    tick, bucket, position = z3.Ints("tick bucket position")  # rests modulo B
    multiple = z3.Int("multiple")
    # (computed + tick - joined) - tick + (joined - computed) = 0, each as q B + r.
    whole = position + multiple == tick - bucket + late
    rests = tuple(_is_rest(rest) for rest in (tick, bucket, position))
    given = (SIZE >= 1, *rests, _near_is_zero(multiple), whole)
    return Theorem((tick == bucket) == (position == 0), given)


def never_lacks_a_block(due_at: int = 0) -> Theorem:
    """If the table is right for a position, it is right for the next one."""
    position, places, rest = z3.Ints("n places rest")
    multiple = z3.Int("multiple")
    # n + 1 = q B + rest and places = h B, so places - (n + 1) is as here.
    whole = places - (position + 1) == multiple - rest
    near = [_near_is_zero(multiple), _near_is_zero(multiple - SIZE)]
    grown = z3.If(rest == due_at, places + SIZE, places)
    goal = z3.And(position + 1 < grown, grown <= position + 1 + SIZE)
    right = z3.And(position < places, places <= position + SIZE)
    given = (SIZE >= 1, _is_rest(rest), whole, *near)
    return Theorem(goal, given, {"it has the block for its first new token": right})
