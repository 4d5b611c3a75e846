"""What the kit says of what is wrong: that it is found, and told in full."""

from collections.abc import Callable

import pytest

from fairq.testing._obligations import Obligation, ObligationBroken


def told(check: Callable[[], object]) -> ObligationBroken:
    """What a check raises."""
    with pytest.raises(ObligationBroken) as caught:
        check()
    return caught.value


def expect_in_full(
    error: ObligationBroken, kind: type, obligation: Obligation, said: str
) -> None:
    """The obligation is the right one, and the message says who, what and what next."""
    assert obligation.name == error.obligation.name, str(error)
    assert said in str(error)
    assert str(error).startswith(f"{kind.__name__} breaks an obligation: ")
    assert obligation.advice in str(error)
