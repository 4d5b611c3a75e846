import pytest

from fairq._closest import closest, did_you_mean


def test_a_typing_error_finds_what_was_meant() -> None:
    assert closest("bulc", ["chat", "bulk"]) == "bulk"
    assert did_you_mean("bulc", ["chat", "bulk"]) == " Did you mean 'bulk'?"


@pytest.mark.parametrize("given", ["zzz", "", 7, None])
def test_what_is_like_nothing_gets_no_advice(given: object) -> None:
    assert closest(given, ["chat", "bulk"]) is None
    assert did_you_mean(given, ["chat", "bulk"]) == ""
