"""The table keeps what each slot asked for, and says which tokens end a sequence."""

import pytest
import torch
from torch import Tensor

from fairq import UsageError
from fairq_backends.sampling import MOST_STOP_IDS, SamplingParams, SamplingTable

EOS = torch.tensor([2, 90])


def stopped(table: SamplingTable, token: int, slot: int, position: int) -> bool:
    made, whose, where = (torch.tensor([each]) for each in (token, slot, position))
    return bool(table.stopped(made, whose, where, EOS))


def test_a_row_holds_the_parameters_of_its_slot() -> None:
    table = SamplingTable(3)
    params = SamplingParams(
        temperature=0.5, top_k=4, top_p=0.25, seed=2**63 - 1, stop=(7, 8)
    )

    table.set(1, params, prompt_length=10)

    assert [0.0, 0.5, 0.0] == table.temperature.tolist()
    assert [0, 4, 0] == table.top_k.tolist()
    assert [1.0, 0.25, 1.0] == table.top_p.tolist()
    assert [0, 2**63 - 1, 0] == table.seed.tolist()
    assert [7, 8, *[-1] * (MOST_STOP_IDS - 2)] == table.stop[1].tolist()


def test_a_slot_is_overwritten_in_place() -> None:
    table = SamplingTable(2)
    places = [
        each.data_ptr() for each in vars(table).values() if isinstance(each, Tensor)
    ]
    table.set(0, SamplingParams(stop=(5, 6), output_tokens=1), prompt_length=1)

    table.set(0, SamplingParams(stop=(4,)), prompt_length=9)

    assert not stopped(table, 5, 0, 10**6)
    assert stopped(table, 4, 0, 1)
    assert places == [
        each.data_ptr() for each in vars(table).values() if isinstance(each, Tensor)
    ]


def test_a_new_table_draws_nothing() -> None:
    assert SamplingTable(4).all_greedy


def test_the_host_knows_whether_anybody_draws() -> None:
    table = SamplingTable(4)
    table.set(2, SamplingParams(temperature=1), prompt_length=1)
    table.set(3, SamplingParams(top_k=5), prompt_length=1)
    told = [table.all_greedy]
    table.clear(2)
    table.clear(2)
    told.append(table.all_greedy)
    table.set(2, SamplingParams(temperature=1), prompt_length=1)
    told.append(table.all_greedy)
    table.set(2, SamplingParams(), prompt_length=1)
    told.append(table.all_greedy)

    assert [False, True, False, True] == told
    assert [0.0] * 4 == table.temperature.tolist()


def test_end_tokens_of_the_model_end_a_sequence_unless_it_ignores_them() -> None:
    table = SamplingTable(3)
    table.set(1, SamplingParams(ignore_eos=True, stop=(11,)), prompt_length=1)
    table.set(2, SamplingParams(output_tokens=100), prompt_length=1)

    assert [True, False, False] == [stopped(table, 90, slot, 5) for slot in range(3)]
    assert stopped(table, 2, 0, 5)
    assert [False, True, False] == [stopped(table, 11, slot, 5) for slot in range(3)]


def test_a_model_without_end_tokens_ends_nothing() -> None:
    none = torch.tensor([], dtype=torch.int64)
    row = torch.tensor([0])

    assert [False] == SamplingTable(1).stopped(row, row, row, none).tolist()


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_a_sequence_ends_with_its_nth_output_token(limit: int) -> None:
    table = SamplingTable(1)
    table.set(0, SamplingParams(output_tokens=limit), prompt_length=10)

    ends = [stopped(table, 2, 0, 10 + made) for made in range(8)]

    assert ends.index(True) == limit - 1


@pytest.mark.parametrize("slot", [-1, 4])
def test_a_slot_that_does_not_exist_is_refused(slot: int) -> None:
    table = SamplingTable(4)

    with pytest.raises(UsageError, match=r"has the slots 0\.\.3; got slot="):
        table.set(slot, SamplingParams(), prompt_length=1)
    with pytest.raises(UsageError, match=r"has the slots 0\.\.3; got slot="):
        table.clear(slot)


def test_a_table_without_slots_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"SamplingTable\.slots must be an integer >= 1"
    ):
        SamplingTable(0)
