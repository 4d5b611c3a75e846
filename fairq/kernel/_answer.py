"""Whether a result answers a plan; looks at every token, at C speed."""

from collections.abc import KeysView, Mapping

from fairq._validators import check_type, is_integer
from fairq.errors import UsageError
from fairq.kernel._draft import Draft
from fairq.plan import StepResult
from fairq.request import RequestId
from fairq.tokens import pack

SHOWN = 8
"""Most ids that a message lists."""


def check_answer(draft: Draft, result: StepResult) -> None:
    """Accept a result that has exactly the tokens the plan asked for.

    Raises:
        UsageError: what is wrong with it.
    """
    tokens = result.tokens
    check_type(tokens, Mapping, f"StepResult.tokens of step {result.step_id}")
    sampling = draft.sampling()
    decodes = draft.plan.decodes.ids()
    if (
        len(tokens) != len(decodes) + len(sampling)
        or not _covers(tokens, decodes)
        or not all(request_id in tokens for request_id in sampling)
    ):
        raise UsageError(_mismatch(draft, result, [*decodes, *sampling]))
    try:
        pack(tokens.values())
    except UsageError as error:
        msg = f"The result of step {result.step_id} has an impossible token. {error}"
        raise UsageError(msg) from None
    _check_stopped(result)


def _covers(tokens: Mapping[RequestId, int], decodes: KeysView[RequestId]) -> bool:
    """Whether every decode has its token; in order, as most backends answer, or not."""
    return list(tokens) == list(decodes) or decodes <= tokens.keys()


def _mismatch(draft: Draft, result: StepResult, expected: list[RequestId]) -> str:
    wanted = dict.fromkeys(expected)
    missing = [id_ for id_ in expected if id_ not in result.tokens]
    unexpected = [id_ for id_ in result.tokens if id_ not in wanted]
    return (
        f"The result of step {draft.plan.step_id} has {len(result.tokens)} tokens, "
        f"expected {len(expected)}: missing {_some(missing)}, unexpected "
        f"{_some(unexpected)}. Answer with one token for every member of decodes and "
        f"every chunk that samples."
    )


def _check_stopped(result: StepResult) -> None:
    check_type(result.stopped, tuple, f"StepResult.stopped of step {result.step_id}")
    unknown = [
        id_ for id_ in result.stopped if not is_integer(id_) or id_ not in result.tokens
    ]
    if unknown:
        msg = (
            f"The result of step {result.step_id} stops {_some(unknown)}, which have "
            f"no token in it. Only a sequence with a token in this step can stop."
        )
        raise UsageError(msg)


def _some(ids: list[RequestId]) -> str:
    if not ids:
        return "none"
    text = ", ".join(map(str, ids[:SHOWN]))
    return text if len(ids) <= SHOWN else f"{text} and {len(ids) - SHOWN} more"
