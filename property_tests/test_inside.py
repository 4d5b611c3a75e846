"""Inside the gate: who goes first is whom the order, the patience and the width say.

The oracle goes through all that waits, as the documentation says it, where there is
room for everybody: then a plan admits exactly whom it says, until the budget is spent.
"""

from fractions import Fraction

import attrs
from hypothesis import event, example, given
from hypothesis import strategies as st

from fairq import (
    Admission,
    Capacity,
    Discipline,
    Dlpm,
    Fcfs,
    Kernel,
    Lpm,
    Order,
    Policy,
    RequestId,
    StepPlan,
    Vtc,
)
from fairq.cost import SCALE
from fairq.kernel import Phase
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import RequestSnapshot
from property_tests.programs import (
    STEP,
    TENANTS,
    WEIGHTS,
    Commit,
    Fail,
    Op,
    Plan,
    Player,
    Program,
    Setting,
    Submit,
    cancels,
    commits,
    flat,
    single,
    steps,
    submits,
)

IN_SIGHT = 64
"""The oldest requests of a tenant that are compared."""

# --- what is said -------------------------------------------------------------------


def rank(order: Order, request: RequestSnapshot) -> Fraction:
    """Smaller goes first; nothing is cached here."""
    prompt, outputs = request.prompt_tokens, request.max_tokens
    match order:
        case Order.SHORTEST:
            return Fraction(prompt + outputs)
        case Order.DECODE_HEAVY:
            return Fraction(-outputs, prompt)
        case _:
            return Fraction(0)


def turn(discipline: Discipline, counter: int, oldest: int) -> int:
    """Whose turn it is: by counter, by rounds of it, or by arrival."""
    match discipline:
        case Vtc():
            return counter
        case Dlpm():
            return counter // max(1, round(SCALE * discipline.quantum))
        case _:
            return oldest


def reach(discipline: Discipline) -> float:
    """How far behind the first turn somebody may be and go ahead of it."""
    match discipline:
        case Vtc():
            return round(SCALE * discipline.slack)
        case Lpm():
            return float("inf")
        case _:
            return 0


@attrs.define
class Oracle:
    """Remembers how often the oldest were passed, and says who is admitted next."""

    policy: Policy
    passed: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(TENANTS, 0))
    """Requests of a tenant that its oldest one has seen go ahead."""
    queues: dict[str, list[RequestSnapshot]] = attrs.field(factory=dict)
    """Who waits, by age; without those that the plan in question admits."""
    taken: dict[str, list[int]] = attrs.field(factory=dict)
    """Whom the plan in question admits."""
    counters: dict[str, int] = attrs.field(factory=dict)
    """With what that plan charges."""
    prices: dict[str, int] = attrs.field(factory=dict)
    heads: dict[str, int] = attrs.field(factory=dict)
    """Whoever was the oldest of a tenant at the last look."""

    def look(self, kernel: Kernel) -> None:
        """Look at what waits, between two calls."""
        self.queues = {}
        for request in kernel.snapshot().requests:
            if request.phase is Phase.WAITING:
                self.queues.setdefault(request.tenant, []).append(request)
        for name, head in self.heads.items():
            if name not in self.queues or self._oldest(name) != head:
                self.passed[name] = 0
        tenants = kernel._life.counters.tenants
        self.counters = {name: tenants[name].counter for name in tenants}
        self.prices = {name: tenants[name].prompt_price for name in tenants}
        self.taken = {name: [] for name in TENANTS}
        self.heads = {name: self._oldest(name) for name in self.queues}

    # --- who is next ----------------------------------------------------------------

    def next(self) -> RequestSnapshot | None:
        """Who is admitted now, if there is room."""
        if not self.queues:
            return None
        turns = {name: self._turn(name) for name in self.queues}
        if self.policy.order is Order.FIFO:
            ages = {name: (turns[name], self._oldest(name)) for name in turns}
            return self.queues[min(ages, key=ages.__getitem__)][0]
        gate = min(turns.values()) + reach(self.policy.discipline)
        choices = [self._choice(name) for name in turns if turns[name] <= gate]
        order = self.policy.order
        return min(
            choices, key=lambda r: (rank(order, r), turns[r.tenant], r.request_id)
        )

    def _oldest(self, name: str) -> int:
        return self.queues[name][0].request_id

    def _turn(self, name: str) -> int:
        return turn(self.policy.discipline, self.counters[name], self._oldest(name))

    def _choice(self, name: str) -> RequestSnapshot:
        """What a tenant would send first."""
        queue, oldest = self.queues[name], self._oldest(name)
        before = self.passed[name] if oldest == self.heads[name] else 0
        overtaken = before + sum(id_ > oldest for id_ in self.taken[name])
        if overtaken >= self.policy.patience:
            return queue[0]
        order = self.policy.order
        return min(queue[:IN_SIGHT], key=lambda r: (rank(order, r), r.request_id))

    def admit(self, request: RequestSnapshot) -> None:
        """It is in the plan, and charged."""
        name = request.tenant
        self.taken[name].append(request.request_id)
        self.counters[name] += self.prices[name] * request.prompt_tokens
        self.queues[name].remove(request)
        if not self.queues[name]:
            del self.queues[name]

    def enters(self, request_id: RequestId) -> bool:
        """The plan has become true: it leaves its queue; whether it went ahead."""
        ((name, queue),) = [
            (name, queue)
            for name, queue in self.queues.items()
            if request_id in [r.request_id for r in queue]
        ]
        ahead = queue[0].request_id != request_id
        self.passed[name] = self.passed[name] + 1 if ahead else 0
        self.queues[name] = [r for r in queue if r.request_id != request_id]
        del self.heads[name]
        if self.queues[name]:
            self.heads[name] = self._oldest(name)
        else:
            del self.queues[name]
        return ahead


# --- both together ------------------------------------------------------------------


@attrs.define
class Watched:
    """A player, and the oracle beside it."""

    player: Player
    oracle: Oracle
    went_ahead: int = 0

    def do(self, op: Op) -> None:
        """Make a move; plans are compared, and answers are noted."""
        player, oracle = self.player, self.oracle
        oracle.look(player.kernel)
        before = player.outstanding
        player.do(op)
        plan = player.outstanding
        if plan is not None and before is None:
            self._compare(plan)
        if before is not None and plan is None and isinstance(op, Commit):
            for enter in before.enter:
                self.went_ahead += oracle.enters(enter.request_id)

    def _compare(self, plan: StepPlan) -> None:
        entered = [enter.request_id for enter in plan.enter]
        budget = self.player.kernel._capacity.tokens_per_step - plan.tokens
        for request_id in entered:
            expected = self.oracle.next()
            assert expected is not None
            assert expected.request_id == request_id
            self.oracle.admit(expected)
        room = budget > 0 and self._free_slots() > 0
        assert not (room and self.oracle.next())

    def _free_slots(self) -> int:
        return self.player.kernel._life.batch.free_slots


DISCIPLINES: st.SearchStrategy[Discipline] = st.sampled_from(
    [Vtc(), Vtc(8.0), Vtc(64.0), Fcfs(), Lpm(), Dlpm(0), Dlpm(6.0), Dlpm(64.0)]
)
ROOMY = st.builds(
    Capacity,
    blocks=st.just(4096),
    block_size=st.sampled_from([1, 4]),
    max_sequences=st.sampled_from([1, 2, 6]),
    tokens_per_step=st.sampled_from([8, 64]),
)
POLICIES = st.builds(
    Policy,
    weights=st.just(WEIGHTS),
    discipline=DISCIPLINES,
    order=st.sampled_from(Order),
    patience=st.sampled_from([0, 1, 2, 64]),
    admission=st.just(Admission.RESERVE),
)
crowds: st.SearchStrategy[Program] = st.lists(submits, min_size=4, max_size=12).map(
    list
)
PROGRAMS: st.SearchStrategy[Program] = st.tuples(
    crowds,
    st.lists(
        st.one_of(
            single(submits),
            single(cancels),
            single(st.just(Plan())),
            single(commits),
            single(st.just(Fail())),
            steps,
            steps,
        ),
        min_size=10,
        max_size=40,
    ).map(flat),
).map(flat)
ALL_SORTS: Program = [
    *(Submit("a", 9, 2, 2), Submit("b", 5, 9), Submit("a", 1, 1, 4)),
    *(Submit("b", 2, 3, 3), Submit("c", 12, 12), Submit("c", 1, 12), *STEP * 9),
]
# The short request is that of a tenant that is 12 ahead, and 8 are allowed.
TOO_FAR_AHEAD: Program = [
    *(Submit("b", 10, 1), Submit("a", 12, 12, 2), *STEP, Submit("b", 1, 1), *STEP * 2)
]
ENTER_TOGETHER: Program = [Submit("a", 1, 8, 2), *STEP]


def watched(setting: Setting) -> Watched:
    return Watched(Player(setting), Oracle(setting.policy))


def setting_of(
    order: Order, discipline: Discipline, patience: int = 64, sequences: int = 2
) -> Setting:
    capacity = Capacity(blocks=4096, max_sequences=sequences, tokens_per_step=64)
    return Setting(
        capacity, Policy(order=order, discipline=discipline, patience=patience)
    )


@given(setting=st.builds(Setting, ROOMY, POLICIES), program=PROGRAMS)
@example(setting=setting_of(Order.SHORTEST, Vtc(64.0), 1), program=ALL_SORTS)
@example(setting=setting_of(Order.DECODE_HEAVY, Vtc(8.0)), program=ALL_SORTS)
@example(setting=setting_of(Order.DECODE_HEAVY, Lpm(), 2), program=ALL_SORTS)
@example(setting=setting_of(Order.SHORTEST, Dlpm(6.0)), program=ALL_SORTS)
@example(setting=setting_of(Order.SHORTEST, Fcfs()), program=ALL_SORTS)
@example(setting=setting_of(Order.FIFO, Dlpm(64.0)), program=ALL_SORTS)
@example(
    setting=setting_of(Order.SHORTEST, Vtc(8.0), sequences=1), program=TOO_FAR_AHEAD
)
def test_whoever_is_admitted_is_whom_order_patience_and_width_say(
    setting: Setting, program: Program
) -> None:
    both = watched(setting)

    for op in program:
        both.do(op)
    event(f"went ahead: {min(both.went_ahead, 3)}")


@given(
    setting=st.builds(Setting, ROOMY, POLICIES),
    program=PROGRAMS,
    cap=st.sampled_from([1.0, 20.0, 60.0]),
)
@example(setting=setting_of(Order.FIFO, Vtc()), program=ENTER_TOGETHER, cap=20.0)
@example(setting=setting_of(Order.SHORTEST, Vtc(64.0)), program=ALL_SORTS, cap=20.0)
def test_nobody_is_committed_to_more_than_the_cap_or_one_request(
    setting: Setting, program: Program, cap: float
) -> None:
    policy = attrs.evolve(setting.policy, commitment=cap)
    player = Player(attrs.evolve(setting, policy=policy))

    for op in program:
        player.do(op)
        for name, members in running(player.kernel).items():
            owed = sum(committed(each) for each in members)
            # A prompt is rounded to 1/SCALE, and so is an output token.
            most = cap * policy.weight(name) + 1e-6
            assert owed <= most or len(members) == 1
    player.finish()


def running(kernel: Kernel) -> dict[str, list[Sequence]]:
    """The members of the batch by tenant."""
    found: dict[str, list[Sequence]] = {}
    for sequence in kernel._life.sequences.values():
        if sequence.phase is not Phase.WAITING:
            found.setdefault(sequence.tenant.name, []).append(sequence)
    return found


def committed(member: Sequence) -> float:
    """Service that it may still be charged for, or that is charged and not done."""
    left = member.prompt_length - min(member.computed, member.prompt_length)
    outputs = member.request.max_tokens - member.produced
    return (0 if member.phase is Phase.DECODING else left) + 2 * outputs
