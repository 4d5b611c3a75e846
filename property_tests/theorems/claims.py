"""What the theorems claim: differences between tenants, and how large they may get."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import combinations, permutations

from hypothesis import target

from property_tests.programs import Setting
from property_tests.record import RECORD
from property_tests.theorems.trial import Book, Claim, Trial

Measure = Callable[[Trial, str], int]
Allowance = Callable[[Trial, str, str], int]

# --- what is measured, of a tenant --------------------------------------------------


def counter(trial: Trial, name: str) -> int:
    """c: what was charged, and lifts."""
    return trial.counter(name)


def served(trial: Trial, name: str) -> int:
    """c - p: what was executed, and lifts."""
    book = trial.books[name]
    return trial.counter(name) - book.charged + book.executed


def charged(trial: Trial, name: str) -> int:
    """c without lifts."""
    return trial.books[name].charged


def executed(trial: Trial, name: str) -> int:
    """W: positions computed for the first time, and outputs."""
    return trial.books[name].executed


# --- what is allowed ----------------------------------------------------------------


def commitment(trial: Trial) -> int:
    """O."""
    return max((book.commitment for book in trial.books.values()), default=0)


def prepaid(trial: Trial) -> int:
    """P."""
    return max((book.prepaid for book in trial.books.values()), default=0)


def gate(trial: Trial) -> int:
    """Q + O."""
    return trial.slack + commitment(trial)


def refunds(trial: Trial) -> int:
    """P once something was refunded: so far can charges fall below service."""
    return prepaid(trial) if trial.refunded else 0


def jump(book: Book, tokens: int | None = None) -> int:
    """U(M): what a tenant can be charged between two looks of the gate.

    The largest of two terms when outputs cost at least as much as prompts, and their
    sum otherwise.
    """
    prompts = book.prompt_price * book.longest
    outputs = book.output_price * (book.tokens if tokens is None else tokens)
    if book.output_price >= book.prompt_price:
        return max(prompts, outputs)
    return prompts + outputs


def jumps(trial: Trial) -> int:
    """U, the largest of all tenants."""
    return max(jump(book) for book in trial.books.values())


def by_charges(trial: Trial, _one: str, _other: str) -> int:
    """How far one counter may be above another by the lemma of the gate."""
    return gate(trial) + refunds(trial)


def by_service(trial: Trial, _one: str, _other: str) -> int:
    """The same for counters of what was executed."""
    return gate(trial) + prepaid(trial)


def by_charges_of_both(trial: Trial, one: str, other: str) -> int:
    """The same with the O of the one and the P of the other."""
    back = trial.books[other].prepaid if trial.refunded else 0
    return trial.slack + trial.books[one].commitment + back


def by_service_of_both(trial: Trial, one: str, other: str) -> int:
    """The same for service."""
    ahead, behind = trial.books[one], trial.books[other]
    return trial.slack + ahead.commitment + behind.prepaid


def apart(ahead: Allowance) -> Allowance:
    """Both directions together: how much a difference may change."""
    return lambda trial, one, other: ahead(trial, one, other) + ahead(trial, other, one)


def three_commitments(trial: Trial, _one: str, _other: str) -> int:
    """How much more than who waits anybody may get, by the gate."""
    return 2 * trial.slack + 3 * (commitment(trial) + prepaid(trial))


def stated_change(trial: Trial, _one: str, _other: str) -> int:
    """2 (Q + O + P)."""
    return 2 * (gate(trial) + prepaid(trial))


def one_jump(trial: Trial, _one: str, _other: str) -> int:
    """T1."""
    return trial.slack + jumps(trial) + refunds(trial)


def two_jumps(trial: Trial, _one: str, _other: str) -> int:
    """T2."""
    return 2 * (trial.slack + jumps(trial) + prepaid(trial))


def four_jumps(trial: Trial, _one: str, _other: str) -> int:
    """T3."""
    return 4 * (trial.slack + jumps(trial) + prepaid(trial))


def a_jump_each(trial: Trial, one: str, other: str) -> int:
    """T4."""
    books = (trial.books[one], trial.books[other])
    return 2 * trial.slack + sum(jump(book) + book.prepaid for book in books)


# --- claims -------------------------------------------------------------------------


class Level(Claim):
    """A difference between two tenants that wait, at any moment."""

    def __init__(self, measure: Measure, allowed: Allowance) -> None:
        self._measure = measure
        self._allowed = allowed

    def look(self, trial: Trial, through: list[str]) -> Iterable[tuple[int, int]]:
        del through
        levels = {name: self._measure(trial, name) for name in trial.backlogged()}
        for one, other in permutations(levels, 2):
            yield levels[one] - levels[other], self._allowed(trial, one, other)


class Spread(Claim):
    """How much a difference changes over any interval in which both wait."""

    def __init__(self, measure: Measure, allowed: Allowance) -> None:
        self._measure = measure
        self._allowed = allowed
        self._ranges: dict[tuple[str, str], tuple[int, int]] = {}

    def look(self, trial: Trial, through: list[str]) -> Iterable[tuple[int, int]]:
        levels = {n: self._measure(trial, n) for n in sorted(trial.backlogged())}
        ranges = {}
        for one, other in combinations(levels, 2):
            now = levels[one] - levels[other]
            low = high = now
            if one in through and other in through:
                low, high = self._ranges.get((one, other), (now, now))
            ranges[one, other] = min(low, now), max(high, now)
            low, high = ranges[one, other]
            yield high - low, self._allowed(trial, one, other)
        self._ranges = ranges


class Fluid(Claim):
    """How far service is from that of a fluid server, while the same tenants wait.

    It would give each of them its weight's share, at every moment, of what they get
    together.
    """

    def __init__(self, allowed: Allowance) -> None:
        self._allowed = allowed
        self._ranges: dict[str, tuple[Fraction, Fraction]] = {}

    def look(self, trial: Trial, through: list[str]) -> Iterable[tuple[int, int]]:
        levels = {n: executed(trial, n) for n in sorted(trial.backlogged())}
        weight = trial.setting.policy.weight
        weights = {name: Fraction(weight(name)) for name in levels}
        total = sum(weights.values(), Fraction(0))
        shares = sum((levels[name] * weights[name] for name in levels), Fraction(0))
        if levels.keys() != self._ranges.keys() or not levels.keys() <= set(through):
            self._ranges = {}
        for name, level in levels.items():
            # Times all weights together, so that nothing is divided.
            now = level * total - shares
            low, high = self._ranges.get(name, (now, now))
            low, high = min(low, now), max(high, now)
            self._ranges[name] = low, high
            # A tenant is part of the mean.
            allowed = (total - weights[name]) * self._allowed(trial, name, name)
            scale = (high - low).denominator * allowed.denominator
            yield int((high - low) * scale), int(allowed * scale)


class Rise(Claim):
    """How much more service anybody gets than a tenant, while that one waits."""

    def __init__(self, allowed: Allowance) -> None:
        self._allowed = allowed
        self._lowest: dict[tuple[str, str], int] = {}

    def look(self, trial: Trial, through: list[str]) -> Iterable[tuple[int, int]]:
        levels = {name: executed(trial, name) for name in trial.books}
        lowest = {}
        waiting = trial.backlogged()
        for one, other in permutations(levels, 2):
            if other not in waiting:
                continue
            now = levels[one] - levels[other]
            low = self._lowest.get((one, other), now) if other in through else now
            lowest[one, other] = min(low, now)
            yield now - lowest[one, other], self._allowed(trial, one, other)
        self._lowest = lowest


def gate_claims() -> dict[str, Claim]:
    """The lemma and the theorem of the gate, for any two tenants and for each pair."""
    return {
        "Gate lemma on charges": Level(counter, by_charges),
        "Gate lemma on service": Level(served, by_service),
        "Gate theorem on charges": Spread(charged, apart(by_charges)),
        "Gate theorem on service": Spread(executed, apart(by_service)),
        "Gate lemma on charges, by pair": Level(counter, by_charges_of_both),
        "Gate lemma on service, by pair": Level(served, by_service_of_both),
        "Gate theorem on charges, by pair": Spread(charged, apart(by_charges_of_both)),
        "Gate theorem on service, by pair": Spread(executed, apart(by_service_of_both)),
    }


# --- how close it came --------------------------------------------------------------


def note(name: str, claim: Claim) -> Fraction:
    """Put the closest pair of a constructed trace on record; its ratio."""
    RECORD.ratio(name, claim.ratio, generated=False)
    return claim.ratio


def aim(name: str, claim: Claim) -> None:
    """The same of a generated one, and let Hypothesis look for closer ones."""
    RECORD.ratio(name, claim.ratio, generated=True)
    target(float(claim.ratio), label=name)


def width(setting: Setting) -> str:
    """Whether there is slack: such runs are recorded apart."""
    return "Q > 0" if setting.policy.discipline.slack else "Q = 0"
