"""The check of a kernel notices whatever is wrong with its books."""

import pickle
from collections.abc import Callable

import pytest
from hypothesis import event, given

from fairq import InvariantError, Kernel
from fairq.kernel import Phase
from fairq.kernel._sequence import Sequence
from property_tests.programs import Player, Program, Setting, programs
from property_tests.programs import settings_of_kernels as anything

Damage = Callable[[Kernel], None]
"""Makes something wrong; LookupError or ValueError where there is nothing to damage."""


def members(kernel: Kernel) -> list[Sequence]:
    """Who is in the batch."""
    sequences = kernel._life.sequences.values()
    return [each for each in sequences if each.phase is not Phase.WAITING]


def lose_a_block(kernel: Kernel) -> None:
    kernel._life.ledger._free.pop()


def free_a_block_that_is_held(kernel: Kernel) -> None:
    kernel._life.ledger._free.append(members(kernel)[0].blocks[0])


def share_a_block(kernel: Kernel) -> None:
    one, other = members(kernel)[0], members(kernel)[1]
    other.blocks[-1] = one.blocks[0]


def free_a_slot_that_is_held(kernel: Kernel) -> None:
    kernel._life.batch.give_back_slot(members(kernel)[0].slot)


def forget_a_charge(kernel: Kernel) -> None:
    member = members(kernel)[0]
    member.tenant.prepaid -= member.prepaid
    member.paid, member.prepaid = 0, 0


def prepay_too_much(kernel: Kernel) -> None:
    members(kernel)[0].tenant.prepaid += 1


def owe_too_much(kernel: Kernel) -> None:
    members(kernel)[0].tenant.granted += 1


def charge_a_decode_too_much(kernel: Kernel) -> None:
    tenant = members(kernel)[0].tenant
    tenant.decoding += 1
    tenant.outputs_offset -= tenant.clock.tick


def forget_a_tenant(kernel: Kernel) -> None:
    del kernel._life.counters.tenants[members(kernel)[0].tenant.name]


def forget_a_queue(kernel: Kernel) -> None:
    first, *_ = kernel._life.counters.backlogged
    kernel._life.counters.backlogged.discard(first)


def turn_a_queue_round(kernel: Kernel) -> None:
    tenants = kernel._life.counters.tenants.values()
    queues = [each.waiting for each in tenants if len(each.waiting) > 1]
    queues[0].move_to_end(next(iter(queues[0])))


DAMAGES: tuple[Damage, ...] = (
    lose_a_block,
    free_a_block_that_is_held,
    share_a_block,
    free_a_slot_that_is_held,
    forget_a_charge,
    prepay_too_much,
    owe_too_much,
    charge_a_decode_too_much,
    forget_a_tenant,
    forget_a_queue,
    turn_a_queue_round,
)


@given(setting=anything, program=programs)
def test_damage_is_noticed(setting: Setting, program: Program) -> None:
    player = Player(setting)
    player.play(program)
    player.kernel.check()
    sound = pickle.dumps(player.kernel)

    for damage in DAMAGES:
        damaged: Kernel = pickle.loads(sound)  # noqa: S301  # our own bytes
        try:
            damage(damaged)
        except (LookupError, ValueError):
            event(f"{damage.__name__}: nothing to damage")
            continue
        with pytest.raises(InvariantError):
            damaged.check()
