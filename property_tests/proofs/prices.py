"""What a tenant is committed to, in the terms of the papers.

Statement. Right after an admission a tenant is committed to the prompt just charged, x
tokens at w_p each, and to the outputs its members may still produce, y at w_q. With
prompts of at most L tokens and M tokens in the batch,

* max form: w_p x + w_q y <= max(w_p L, w_q M), where the batch reserves whatever its
  members may need (x + y <= M) and an output token costs no less than one of a prompt
  (w_q >= w_p);
* sum form: w_p x + w_q y <= w_p L + w_q M, where only the outputs owed are within M.

So the O of ``gate`` is at most that. Quantifiers: one tenant at one moment, whichever.
The products make it nonlinear; over the reals the solver decides that.

Sources: VTC (Sheng et al., OSDI 2024), Lemma 4.3 with U = max(w_p L_input, w_q M), and
the sum as in DLPM. That the first needs w_q >= w_p and reservation, its statement does
not say.
"""

from fractions import Fraction

import z3

from property_tests.proofs.harness import largest, value
from property_tests.proofs.theorem import Theorem

NAMES = ("w_p", "w_q", "x", "y", "L", "M")


def max_form() -> Theorem:
    w_p, w_q, x, y, longest, room = z3.Reals(" ".join(NAMES))
    return Theorem(
        w_p * x + w_q * y <= largest(w_p * longest, w_q * room),
        (*_signs(), x <= longest),
        {
            "outputs cost no less than prompts": w_q >= w_p,
            "the batch reserves what it may need": x + y <= room,
        },
    )


def sum_form() -> Theorem:
    w_p, w_q, x, y, longest, room = z3.Reals(" ".join(NAMES))
    return Theorem(
        w_p * x + w_q * y <= w_p * longest + w_q * room,
        tuple(_signs()),
        {
            "a prompt is at most L": x <= longest,
            "the batch may still produce at most M": y <= room,
        },
    )


def _signs() -> list[z3.BoolRef]:
    return [number >= 0 for number in z3.Reals(" ".join(NAMES))]


def excess(model: z3.ModelRef, *, maximum: bool) -> Fraction:
    """By how much a commitment is above the form, in plain fractions."""
    w_p, w_q, x, y, longest, room = (value(model, z3.Real(name)) for name in NAMES)
    parts = (w_p * longest, w_q * room)
    return w_p * x + w_q * y - (max(parts) if maximum else sum(parts))
