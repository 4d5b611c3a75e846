import pickle

import pytest

import fairq
from fairq import (
    BackendError,
    EngineClosed,
    FairqError,
    InvariantError,
    ReaderTooSlow,
    RequestRejected,
    TraceError,
    UsageError,
    errors,
)

KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS, ids=errors.__all__)
def test_one_except_clause_catches_every_error(kind: type[Exception]) -> None:
    assert issubclass(kind, FairqError)
    assert issubclass(kind, Exception)


@pytest.mark.parametrize("kind", [UsageError, TraceError])
def test_wrong_values_are_value_errors_too(kind: type[Exception]) -> None:
    assert issubclass(kind, ValueError)


def test_the_errors_are_told_apart() -> None:
    for kind in KINDS:
        others = [other for other in KINDS if other not in (kind, FairqError)]
        assert not any(issubclass(kind, other) for other in others)


def test_the_table_of_the_module_lists_every_error() -> None:
    assert errors.__doc__ is not None
    for kind in KINDS:
        if kind is not FairqError:
            assert kind.__name__ in errors.__doc__


def test_a_rejection_says_what_a_program_may_act_on() -> None:
    error = RequestRejected("full", retryable=True, needed=3, available=2)
    assert (True, 3, 2) == (error.retryable, error.needed, error.available)
    assert str(error) == "full"


def test_a_backend_error_names_backend_and_step() -> None:
    error = BackendError("broke", backend="simulated", step_id=7)
    assert ("simulated", 7) == (error.backend, error.step_id)
    assert BackendError("gone", backend="x").step_id is None


def test_an_invariant_error_carries_the_state_for_the_report() -> None:
    error = InvariantError("A block is free twice.", snapshot={"blocks": 3})
    assert error.snapshot == {"blocks": 3}
    assert str(error).startswith("A block is free twice. This is a bug in fairq;")
    assert "{'blocks': 3}" in str(error)


def test_a_reader_learns_the_size_of_its_buffer() -> None:
    assert ReaderTooSlow("slow", buffered=64).buffered == 64


@pytest.mark.parametrize(
    ("line", "column", "place"),
    [
        (0, None, "t.csv: empty"),
        (3, None, "t.csv, line 3: empty"),
        (3, "client", "t.csv, line 3, column 'client': empty"),
    ],
)
def test_a_trace_error_says_where(line: int, column: str | None, place: str) -> None:
    error = TraceError("empty", file="t.csv", line=line, column=column)
    assert place == str(error)
    assert ("t.csv", line, column) == (error.file, error.line, error.column)


def test_a_closed_engine_needs_no_details() -> None:
    assert str(EngineClosed("over")) == "over"


def test_errors_are_exported_at_the_top() -> None:
    for kind in KINDS:
        assert kind is getattr(fairq, kind.__name__)


EXAMPLES = [
    RequestRejected("full", retryable=True, needed=7, available=6),
    UsageError("wrong"),
    BackendError("broken", backend="torch", step_id=4),
    InvariantError("wrong.", snapshot={"blocks": 7}),
    EngineClosed("closed"),
    ReaderTooSlow("slow", buffered=3),
    TraceError("bad row", file="trace.csv", line=3),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_can_be_sent_to_another_process(error: FairqError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes

    assert type(error) is type(copy)
    assert (str(error), vars(error)) == (str(copy), vars(copy))
