from fairq.kernel._clock import StepClock


def test_a_clock_begins_at_zero_and_counts_steps() -> None:
    clock = StepClock()
    assert clock.tick == 0
    clock.tick += 1
    assert clock.tick == 1


def test_two_clocks_are_never_the_same_clock() -> None:
    assert StepClock() != StepClock()
