"""Whoever joins has blocks: promised all of them, or forecast and then counted."""

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairq import Admission, Capacity, Kernel, Policy
from fairq.kernel import Phase
from fairq.kernel._admission import FIXED, Optimistic, Reserve, blocks_now
from fairq.kernel._batch import Batch
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._clock import StepClock
from fairq.kernel._sequence import Sequence
from property_tests.effort import part
from property_tests.parts import make_sequence, make_tenant
from property_tests.programs import (
    Commit,
    Plan,
    Player,
    Program,
    Setting,
    Submit,
    programs,
)
from property_tests.programs import settings_of_kernels as anything

lengths = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=12)


def make_sequences(of: list[tuple[int, int]]) -> list[Sequence]:
    tenant = make_tenant(StepClock())
    return [make_sequence(id_, tenant, *each) for id_, each in enumerate(of)]


def running(kernel: Kernel) -> list[Sequence]:
    sequences = kernel._life.sequences.values()
    return [each for each in sequences if each.phase is not Phase.WAITING]


def under(setting: Setting, admission: Admission) -> Setting:
    return attrs.evolve(
        setting, policy=attrs.evolve(setting.policy, admission=admission)
    )


def check_promises(player: Player, capacity: Capacity) -> None:
    rule = player.kernel._life.rule
    assert isinstance(rule, Reserve)
    worst = [each.worst for each in running(player.kernel)]
    promised = sum(-(-positions // capacity.block_size) for positions in worst)
    assert promised == rule._promised
    assert promised <= capacity.blocks
    assert player.kernel.snapshot().preemptions == 0


# --- inside a kernel ----------------------------------------------------------------


@part(2)
@given(setting=anything, program=programs)
def test_reserve_never_promises_more_than_there_is(
    setting: Setting, program: Program
) -> None:
    player = Player(under(setting, Admission.RESERVE))

    for op in program:
        player.do(op)
        check_promises(player, setting.capacity)


@part(2)
@given(setting=anything, program=programs)
def test_the_books_of_the_forecast_are_a_recount(
    setting: Setting, program: Program
) -> None:
    player = Player(under(setting, Admission.OPTIMISTIC))
    rule = player.kernel._life.rule
    assert isinstance(rule, Optimistic)

    for op in program:
        player.do(op)
        members = running(player.kernel)
        assert sum(each.request.max_tokens for each in members) == rule._granted
        assert sum(each.produced for each in members) == rule._batch.produced
        assert 0 <= rule._margin <= FIXED
        assert rule._mean is None or rule._mean >= 0


@part(2)
@given(setting=anything, program=programs)
def test_who_enters_has_a_block_for_what_it_produces_first(
    setting: Setting, program: Program
) -> None:
    player = Player(setting)
    size = setting.capacity.block_size

    for op in program:
        player.do(op)
        for enter in () if player.outstanding is None else player.outstanding.enter:
            sequence = player.kernel._life.sequences.get(enter.request_id)
            if sequence is None or sequence.phase is not Phase.WAITING:
                continue
            room = len(enter.blocks) * size
            assert room >= len(enter.tokens)
            more = sequence.request.max_tokens - sequence.produced > 1
            assert not more or room > len(enter.tokens)


# --- alone --------------------------------------------------------------------------


@given(of=lengths, total=st.integers(1, 60), size=st.sampled_from([1, 4, 16]))
def test_reserve_takes_whoever_fits_beside_the_promises(
    of: list[tuple[int, int]], total: int, size: int
) -> None:
    ledger = BlockLedger(total, size)
    rule = Reserve(ledger)
    rule.begin(total)
    promised = 0

    for sequence in make_sequences(of):
        worst = -(-sequence.worst // size)
        fits = rule.fits(sequence, blocks_now(sequence, ledger), 0)
        assert fits == (promised + worst <= total)
        if fits:
            promised += worst
            rule.draw(sequence, 0, worst)


@given(of=lengths, total=st.integers(1, 80), size=st.sampled_from([1, 4, 16]))
def test_without_experience_the_forecast_is_max_tokens(
    of: list[tuple[int, int]], total: int, size: int
) -> None:
    ledger = BlockLedger(total, size)
    rule = Optimistic(ledger, Batch(100, size, StepClock()))
    rule.begin(total)
    free, granted = total, 0

    for number, sequence in enumerate(make_sequences(of)):
        blocks = blocks_now(sequence, ledger)
        growth = -(-(granted + sequence.request.max_tokens) // size)
        expected = blocks + (growth if granted else 0) <= free
        fits = rule.fits(sequence, blocks, 0)
        assert expected == fits, number
        if fits:
            rule.draw(sequence, blocks, 0)
            free -= blocks
            granted += sequence.request.max_tokens


@given(
    of=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.sampled_from([1, 4, 16]),
    mean=st.none() | st.integers(0, 10**6 * FIXED),
    margin=st.integers(0, FIXED),
    admission=st.sampled_from(Admission),
)
def test_who_is_alone_and_can_ever_fit_fits(
    of: tuple[int, int],
    size: int,
    mean: int | None,
    margin: int,
    admission: Admission,
) -> None:
    (sequence,) = make_sequences([of])
    ledger = BlockLedger(-(-sequence.worst // size), size)
    optimistic = Optimistic(ledger, Batch(4, size, StepClock()))
    optimistic._mean, optimistic._margin = mean, margin
    chosen = optimistic if admission is Admission.OPTIMISTIC else Reserve(ledger)

    chosen.begin(ledger.total)

    assert chosen.fits(sequence, blocks_now(sequence, ledger), 0)


@given(outputs=st.lists(st.integers(1, 500), min_size=1, max_size=60))
def test_the_forecast_lies_between_the_shortest_and_the_longest(
    outputs: list[int],
) -> None:
    rule = Optimistic(BlockLedger(8, 16), Batch(100, 16, StepClock()))
    (sequence,) = make_sequences([(1, 500)])
    margins = [rule._margin]

    for length in outputs:
        sequence.outputs = sequence.outputs[:0]
        sequence.outputs.extend([7] * length)
        rule.enter(sequence)
        rule.leave(sequence, ended=True)
        margins.append(rule._margin)

    assert rule._mean is not None
    assert min(outputs) * FIXED <= rule._mean <= max(outputs) * FIXED
    assert sorted(margins, reverse=True) == margins


@given(
    finished=st.integers(0, 200),
    preempted=st.integers(1, 40),
    mean=st.integers(16, 10**6),
)
def test_a_preemption_makes_the_rule_more_careful(
    finished: int, preempted: int, mean: int
) -> None:
    rule = Optimistic(BlockLedger(8, 16), Batch(100, 16, StepClock()))
    rule._margin = max(FIXED - finished * (FIXED // 256), 0)
    rule._mean = mean

    for _ in range(preempted):
        margin, before = rule._margin, rule._mean
        assert before is not None
        rule.preempted()
        assert margin <= rule._margin <= FIXED
        assert before < rule._mean


@given(of=lengths)
def test_who_was_removed_teaches_nothing(of: list[tuple[int, int]]) -> None:
    assume(of)
    rule = Optimistic(BlockLedger(8, 16), Batch(100, 16, StepClock()))

    for sequence in make_sequences(of):
        rule.enter(sequence)
        rule.leave(sequence, ended=False)

    assert (None, FIXED, 0) == (rule._mean, rule._margin, rule._granted)


# --- planted bugs: what the recount is worth ----------------------------------------


def test_a_rule_that_forgets_who_has_left_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Reserve, "leave", lambda *_, **__: None)
    capacity = Capacity(blocks=8, block_size=4)
    player = Player(Setting(capacity, Policy(admission=Admission.RESERVE)))
    player.play([Submit("a", 4, 1), Plan(), Commit()])

    with pytest.raises(AssertionError):
        check_promises(player, capacity)
