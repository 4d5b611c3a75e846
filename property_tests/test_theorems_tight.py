"""Traces that come close to the bounds, and what the bounds would not survive.

A bound that no run comes near says little, so each of these runs uses at least 90 % of
what its theorem allows, and most use all of it. Who fills the only slot is committed to
all of its cost at once, while the other can do nothing.
"""

from fractions import Fraction

import pytest

from fairq import Admission, Capacity, LinearCost, Policy, Vtc
from property_tests.programs import (
    STEP,
    Cancel,
    Program,
    Setting,
    Submit,
    flat,
)
from property_tests.record import RECORD
from property_tests.test_fairness import stated
from property_tests.test_theorems import check_delays
from property_tests.theorems import claims
from property_tests.theorems.claims import Level, Rise, Spread, gate_claims, note
from property_tests.theorems.trial import Trial, units
from property_tests.theorems.turns import Gate
from property_tests.theorems.workloads import reserving

LONG = 50
"""Outputs of a long request; with a prompt of 1 it costs 2 LONG + 1."""
ONE_SLOT = Capacity(blocks=8 * LONG, block_size=1, max_sequences=1)


def setting(
    capacity: Capacity,
    slack: float = 0.0,
    weights: dict[str, float] | None = None,
    cost: LinearCost | None = None,
) -> Setting:
    policy = Policy(
        weights=weights or {},
        cost=cost or LinearCost(),
        discipline=Vtc(slack=slack),
        admission=Admission.RESERVE,
    )
    return Setting(capacity, policy)


# --- the gate -----------------------------------------------------------------------

# First g gets ahead by all it was committed to. Then f draws level, is older, so goes
# first once more, and gets ahead by all that. The last of each keeps it waiting.
ALTERNATING = [
    *(Submit(tenant, 1, LONG) for tenant in "gffg"),
    *(Submit(tenant, 1, LONG) for tenant in "fg"),
    *STEP * (3 * LONG),
]


def note_gate(run: Setting, program: Program) -> list[Fraction]:
    """How close a run comes to what is claimed about the gate."""
    tried = gate_claims()
    Trial(run, *tried.values()).play(program)
    width = claims.width(run)
    return [note(f"{name}, {width}", claim) for name, claim in tried.items()]


def test_without_slack_the_gate_is_used_to_the_full() -> None:
    gap = Spread(claims.executed, stated)
    fluid = claims.Fluid(claims.stated_change)
    Trial(setting(ONE_SLOT), gap, fluid).play(ALTERNATING)

    assert 8 * [1] == note_gate(setting(ONE_SLOT), ALTERNATING)
    assert 1 == note("Gap that the kernel states", gap)
    assert 1 == note("Gate, against a fluid server", fluid)


def passing(rounds: int, prompt: int, max_tokens: int) -> Program:
    """Two tenants pass requests of each other that need the whole pool.

    ``k`` runs all the time, and weighs so much that what it costs is next to nothing:
    beside it there is room for one small request, and never for a large one. First g
    passes f, to the end of the slack and one commitment more. When f has withdrawn its
    large request it draws level, and passes a large one of g as far.
    """
    turns = rounds + 1
    stays = 3 * (turns + 1) * max_tokens
    small = prompt + max_tokens - 1
    return [
        Submit("k", 1, stays),
        Submit("f", small, stays + 1),
        Submit("g", prompt, max_tokens, turns),
        Submit("f", prompt, max_tokens, 2 * turns + 1),
        Submit("g", small, stays + 1),
        *STEP * (turns * max_tokens),
        Cancel(1),
        *STEP * (2 * turns * max_tokens),
    ]


@pytest.mark.parametrize(
    ("slack", "prompt", "max_tokens"), [(6.0, 1, 1), (100.0, 2, 4), (100.0, 10, 45)]
)
def test_with_slack_the_gate_is_used_to_the_full(
    slack: float, prompt: int, max_tokens: int
) -> None:
    rounds = int(slack) // (prompt + 2 * max_tokens)
    assert slack == rounds * (prompt + 2 * max_tokens)
    stays = 3 * (rounds + 2) * max_tokens
    capacity = Capacity(
        blocks=stays + prompt + max_tokens - 1, block_size=1, max_sequences=2
    )
    run = setting(capacity, slack, weights={"k": 2.0**20})

    program = passing(rounds, prompt, max_tokens)
    assert 8 * [1] == note_gate(run, program)
    assert 1 == note("T10 turns inside the gate", Gate().play(Trial(run), program))


MEMBERS = 31
# g pays for a long prompt that 31 members of f leave no room to compute. f is lifted to
# what g has paid, and has still to get nearly all of what it was committed to.
LIFTED = [
    Submit("f", 1, LONG, MEMBERS),
    *STEP,
    Submit("g", 2 * LONG * MEMBERS, 1, 2),
    *STEP,
    Submit("f", 1, LONG),
    *STEP * (LONG - 2),
]
NARROW = Capacity(
    blocks=8_000, block_size=1, max_sequences=MEMBERS + 1, tokens_per_step=MEMBERS + 1
)


def test_what_is_prepaid_lets_others_ahead_by_as_much() -> None:
    lemma = Level(claims.served, claims.by_service)

    trial = Trial(setting(NARROW), lemma).play(LIFTED)

    assert 0 < claims.prepaid(trial)
    assert Fraction(9, 10) < note("Gate lemma on service, Q = 0", lemma)


def test_what_is_refunded_takes_a_counter_back_by_as_much() -> None:
    """So the lemma on charges needs P as well, once something was refunded."""
    program = [*LIFTED, Cancel(MEMBERS)]
    lemma = Level(claims.counter, claims.by_charges)
    less = Level(claims.counter, lambda t, _i, _j: claims.gate(t))

    Trial(setting(NARROW), lemma).play(program)

    assert Fraction(9, 10) < note("Gate lemma on charges, Q = 0", lemma)
    with pytest.raises(AssertionError):
        Trial(setting(NARROW), less).play(program)


def test_whoever_comes_back_can_get_three_commitments_more() -> None:
    """g has one commitment still to get, draws level with f, and gets ahead by one.

    While its first request has hardly begun f gets two commitments and h one. Then both
    want the whole pool, of which the weightless k has a part, so the counter of h is
    what g is lifted to; and once that is done h withdraws. Prompts cost as much as
    outputs, so that U is the same for f, h and g.
    """
    pool = 12 * LONG
    capacity = Capacity(blocks=pool, block_size=1, max_sequences=3)
    run = setting(capacity, cost=LinearCost(output=1.0), weights={"k": 2.0**20})
    three, four = Rise(claims.three_commitments), Rise(claims.four_jumps)
    trial = Trial(run, three, four)

    trial.play([Submit("k", 1, 4 * LONG), Submit("g", 1, LONG), *STEP])
    trial.play([Submit("f", LONG, 1, 2), Submit("h", LONG, 1)])
    trial.play([Submit("f", pool, 1), Submit("h", pool, 1), *STEP * (LONG - 1)])
    trial.play([Submit("k", 1, 4 * LONG), Submit("g", 1, LONG, 3), *STEP])
    trial.play([Cancel(6), *STEP * (2 * LONG)])

    assert Fraction(9, 10) < note("Gate, against who does not wait", three)
    assert Fraction(7, 10) < note("T3 backlogged against any", four)


# --- the paper ----------------------------------------------------------------------


def test_t1_and_t2_are_used_but_for_one_prompt() -> None:
    t1 = Level(claims.counter, claims.one_jump)
    t2 = Spread(claims.executed, claims.two_jumps)

    Trial(setting(ONE_SLOT), t1, t2).play(ALTERNATING)

    assert Fraction(2 * LONG + 1, 2 * LONG + 2) == note(
        "T1 counters of two that wait", t1
    )
    assert Fraction(9, 10) < note("T2 two backlogged tenants", t2)


def test_t4_is_used_but_for_one_prompt() -> None:
    """g weighs twice as much, and f draws level with a request half as large."""
    claim = Spread(claims.executed, claims.a_jump_each)
    trial = Trial(setting(ONE_SLOT, weights={"g": 2.0}), claim)

    trial.play([Submit("g", 2, LONG), Submit("f", 1, LONG // 2)])
    trial.play([Submit("f", 1, LONG, 2), Submit("g", 2, LONG)])
    trial.play(STEP * (LONG + LONG // 2 + LONG))

    assert Fraction(9, 10) < note("T4 weights", claim)


def test_t11_a_request_can_wait_for_two_jumps_of_another() -> None:
    """f has got its commitment; then g draws level, is older, and goes once more."""
    trial = Trial(reserving(ONE_SLOT))

    trial.play([Submit("f", 1, LONG), Submit("g", 1, LONG, 3), *STEP * LONG])
    trial.play([Submit("f", 1, LONG), *STEP * (2 * LONG)])

    ratio = check_delays(trial)
    RECORD.ratio("T11 delay until dispatch", ratio, generated=False)
    assert ratio > Fraction(9, 10)


# --- what the bounds need -----------------------------------------------------------


def test_the_larger_of_two_terms_is_too_little_where_prompts_cost_more() -> None:
    """max(w_p L, w_q M) needs w_q >= w_p: one request costs the sum of both."""

    def largest(trial: Trial, _one: str, _other: str) -> int:
        return max(
            max(book.prompt_price * book.longest, book.output_price * book.tokens)
            for book in trial.books.values()
        )

    run = setting(ONE_SLOT, cost=LinearCost(prompt=2.0, output=1.0))
    program = [Submit("f", 9, 9, 2), Submit("g", 9, 9), *STEP * 9]
    Trial(run, Level(claims.counter, lambda t, _i, _j: claims.jumps(t))).play(program)

    with pytest.raises(AssertionError):
        Trial(run, Level(claims.counter, largest)).play(program)


def test_the_size_of_the_pool_is_no_bound_for_what_is_committed() -> None:
    """M is what members may use together, not what they hold at any time.

    Outputs of M, M / 2, M / 3, ... tokens all fit at once, for the short ones end
    first; what they cost is M times the harmonic number.
    """
    pool = 24
    capacity = Capacity(blocks=pool, block_size=1, max_sequences=6)
    policy = Policy(cost=LinearCost(prompt=0.0), admission=Admission.OPTIMISTIC)
    run = Setting(capacity, policy, misled=True)
    harmonic: Program = [Submit("f", 1, pool // part) for part in range(1, 7)]
    program = flat([harmonic, [Submit("f", 1, 1), Submit("g", pool - 1, 1)]])
    program += STEP * pool

    Trial(run, Level(claims.counter, claims.one_jump)).play(program)

    output = units(run.policy.cost.output)
    with pytest.raises(AssertionError):
        Trial(run, Level(claims.counter, lambda _t, _i, _j: output * pool)).play(
            program
        )
