"""What a replay promises: at no load is a gap above the bound that it prints."""

from functools import cache
from pathlib import Path

import pytest

from fairq import Admission, Policy, Vtc
from fairq.sim import Job, Run, Trace, bundled_trace, merge_traces, read_trace, simulate
from fairq_backends.simulated import SimulatedBackend

UNLIMITED = Policy(max_waiting=None, max_waiting_per_tenant=None)


def replay(trace: Trace, policy: Policy, kv_tokens: int | None = None) -> Run:
    gpu = "a100-llama3-8b"
    backend = (
        SimulatedBackend(gpu=gpu)
        if kv_tokens is None
        else SimulatedBackend(gpu=gpu, kv_tokens=kv_tokens)
    )
    return simulate(trace, backend, policy)


def within_bound(run: Run) -> bool:
    return run.bound is not None and 0 < run.largest_gap <= run.bound


@pytest.mark.parametrize("speed", [4, 10, 50])
@pytest.mark.parametrize("slack", [0.0, 3000.0])
@pytest.mark.parametrize("admission", Admission)
def test_arena_stays_within_its_bound(
    speed: float, slack: float, admission: Admission
) -> None:
    policy = Policy(
        weights={"10": 4.0, "0": 0.5},
        discipline=Vtc(slack),
        admission=admission,
        max_waiting=None,
        max_waiting_per_tenant=None,
    )
    assert within_bound(replay(bundled_trace().scaled(speed), policy, 10_000))


@cache
def azure(folder: Path) -> Trace:
    names = ("conv", "code")
    files = [folder / f"AzureLLMInferenceTrace_{name}.csv.gz" for name in names]
    return merge_traces([read_trace(file) for file in files])


@pytest.mark.parametrize("speed", [2, 10])
def test_azure_stays_within_its_bound(traces: Path, speed: float) -> None:
    run = replay(azure(traces / "azure2023").scaled(speed), UNLIMITED)
    assert within_bound(run)


@pytest.mark.parametrize("speed", [0.5, 4])
def test_mooncake_stays_within_its_bound(traces: Path, speed: float) -> None:
    trace = read_trace(traces / "mooncake" / "conversation_trace.jsonl.gz")
    assert within_bound(replay(trace.scaled(speed), UNLIMITED))


def test_a_gap_is_not_measured_against_who_entered_with_the_step() -> None:
    """In a plan a request does not wait any more; the gate lets others past it."""
    rows = [
        ("k", 1, 150),
        ("g", 1, 50),
        ("f", 1, 50),
        ("f", 1, 50),
        ("g", 1, 50),
        ("f", 99, 1),
        ("f", 1, 1),
    ]
    trace = Trace("edge", tuple(Job(name, 0.0, p, n) for name, p, n in rows))
    backend = SimulatedBackend(
        kv_tokens=400, block_size=1, max_sequences=2, tokens_per_step=400
    )
    policy = Policy(weights={"k": 1024.0}, admission=Admission.RESERVE)

    assert within_bound(simulate(trace, backend, policy))
