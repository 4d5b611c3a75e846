"""Backends are found by name, in distributions that were really installed."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import attrs
import pytest

from fairq import BackendError, Capacity, SyncBackend, UsageError, load_backend
from fairq.plugins import GROUP, BackendInfo, list_backends
from fairq_backends.simulated import SimulatedBackend

ECHO = """
    from fairq import Capacity

    class Echo:
        closed = 0

        def __init__(self, *, blocks=8, block_size=16):
            self.capacity = Capacity(blocks=blocks, block_size=block_size)

        def step(self, plan):
            return None

        def close(self):
            Echo.closed += 1
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution of one module, as pip would have left it on disk."""
    modules = []

    def install(
        distribution: str, offers: dict[str, str], code: str, requires: str = ""
    ) -> None:
        module = distribution.replace("-", "_")
        site = tmp_path / distribution
        facts = site / f"{module}-1.0.dist-info"
        facts.mkdir(parents=True)
        (site / f"{module}.py").write_text(textwrap.dedent(code))
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 1.0"]
        lines += [f"Requires-Dist: {requires}"] if requires else []
        (facts / "METADATA").write_text("\n".join(lines) + "\n")
        names = [f"{name} = {module}:{what}" for name, what in offers.items()]
        (facts / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *names]))
        (facts / "RECORD").write_text(f"{module}.py,,\n")
        monkeypatch.syspath_prepend(site)
        modules.append(module)

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def info(name: str) -> BackendInfo:
    return next(each for each in list_backends() if each.name == name)


# --- loading


def test_the_simulated_backend_comes_with_fairq() -> None:
    backend = load_backend("simulated", gpu="a100-llama3-8b", block_size=32)
    assert isinstance(backend, SimulatedBackend)
    expected = Capacity(blocks=411_987 // 32, block_size=32, prefix_cache=True)
    assert expected == backend.capacity


def test_a_third_party_backend_is_found_by_name(install: Install) -> None:
    install("third-party", {"echo": "Echo"}, ECHO)
    backend = load_backend("echo", blocks=5)
    assert isinstance(backend, SyncBackend)
    assert Capacity(blocks=5) == backend.capacity


def test_nothing_is_imported_before_it_is_asked_for(install: Install) -> None:
    install("never-asked", {"never": "Never"}, "raise SystemExit")
    assert load_backend("simulated").capacity.blocks > 0
    assert "never" in entry_points(group=GROUP).names


def test_an_unknown_name_lists_the_known_and_the_closest(install: Install) -> None:
    install("third-party", {"echo": "Echo"}, ECHO)
    with pytest.raises(UsageError) as caught:
        load_backend("simulate")
    message = str(caught.value)
    assert "No backend is called 'simulate'." in message
    assert "echo, " in message
    assert message.endswith("Did you mean 'simulated'?")


def test_a_name_like_no_other_gets_no_guess() -> None:
    with pytest.raises(UsageError, match=r"simulated[^?]*$"):
        load_backend("xyz")


def test_a_name_offered_twice_names_both_distributions(install: Install) -> None:
    install("second-party", {"echo": "Echo"}, ECHO)
    install("first-party", {"echo": "Echo"}, ECHO)
    with pytest.raises(UsageError, match="got first-party and second-party"):
        load_backend("echo")


# --- options


def test_an_unknown_option_names_backend_and_options(install: Install) -> None:
    install("third-party", {"echo": "Echo"}, ECHO)
    with pytest.raises(UsageError) as caught:
        load_backend("echo", block=5)
    assert str(caught.value) == (
        "Backend 'echo' of distribution third-party has no option 'block'. "
        "It takes: blocks, block_size. Did you mean 'blocks'?"
    )


def test_a_missing_option_is_named(install: Install) -> None:
    code = """
        def needy(model, *, size=1):
            raise AssertionError
    """
    install("third-party", {"needy": "needy"}, code)
    with pytest.raises(
        UsageError, match=r"needs the option 'model'\. It takes: model, size\.$"
    ):
        load_backend("needy")


def test_a_factory_that_takes_anything_gets_anything(install: Install) -> None:
    code = """
        from types import SimpleNamespace
        from fairq import Capacity

        def free(**options):
            capacity = Capacity(**options)
            return SimpleNamespace(capacity=capacity, step=print, close=print)
    """
    install("third-party", {"free": "free"}, code)
    assert load_backend("free", blocks=3).capacity.blocks == 3


def test_a_factory_without_a_signature_is_called(install: Install) -> None:
    install("third-party", {"odd": "odd"}, "odd = type")
    with pytest.raises(TypeError, match="type"):
        load_backend("odd")


def test_an_error_inside_the_factory_passes_unchanged(install: Install) -> None:
    code = """
        def broken(size=1):
            return len(size)
    """
    install("third-party", {"broken": "broken"}, code)
    with pytest.raises(TypeError, match=r"object of type 'int' has no len\(\)"):
        load_backend("broken")


def test_a_value_the_backend_refuses_is_its_own_error() -> None:
    with pytest.raises(UsageError, match="Capacity"):
        load_backend("simulated", max_sequences=0)


# --- what is wrong with a plugin


def test_a_module_that_is_missing_names_the_extra_that_brings_it(
    install: Install,
) -> None:
    extra = 'no_such_module>=2; extra == "gpu"'
    install("third-party", {"gpu": "Gpu"}, "import no_such_module.sub", extra)
    with pytest.raises(BackendError) as caught:
        load_backend("gpu")
    message = str(caught.value)
    assert "Backend 'gpu' of distribution third-party (third_party:Gpu)" in message
    assert "ModuleNotFoundError: No module named 'no_such_module'" in message
    assert message.endswith("Install it with: pip install 'third-party[gpu]'")
    assert caught.value.backend == "gpu"


def test_an_extra_for_another_module_is_not_suggested(install: Install) -> None:
    extra = 'no_such_module-x; extra == "gpu"'
    install("third-party", {"gpu": "Gpu"}, "import no_such_module", extra)
    with pytest.raises(BackendError, match="provides the module 'no_such_module'"):
        load_backend("gpu")


def test_a_module_that_fails_in_any_way_names_the_cause(install: Install) -> None:
    install("third-party", {"gpu": "Gpu"}, "raise RuntimeError('no driver')")
    with pytest.raises(BackendError, match=r"third-party.*RuntimeError: no driver"):
        load_backend("gpu")


def test_a_name_the_module_does_not_have_names_the_cause(install: Install) -> None:
    install("third-party", {"echo": "Ecco"}, ECHO)
    with pytest.raises(BackendError, match=r"AttributeError.*Ecco"):
        load_backend("echo")


def test_what_cannot_be_called_is_no_factory(install: Install) -> None:
    install("third-party", {"seven": "seven"}, "seven = 7")
    with pytest.raises(BackendError, match=r"callable.*third_party:seven = 7"):
        load_backend("seven")


def test_a_wrong_shape_says_what_is_missing(install: Install) -> None:
    code = """
        class Half:
            capacity = 7
            close = None
            def step(self, plan): ...
    """
    install("third-party", {"half": "Half"}, code)
    with pytest.raises(BackendError) as caught:
        load_backend("half")
    assert str(caught.value) == (
        "Backend 'half' of distribution third-party must return a backend; got Half "
        "without capacity (a fairq.Capacity), close (a method). "
        "Its author must add that."
    )


def test_a_backend_without_step_is_none(install: Install) -> None:
    install("third-party", {"echo": "Echo"}, ECHO.replace("def step", "def stop"))
    with pytest.raises(BackendError, match=r"without step \(a method\)\."):
        load_backend("echo")


# --- listing


def test_the_list_tells_capacity_or_problem_by_name(install: Install) -> None:
    install("third-party", {"zeta": "Echo", "echo": "Echo"}, ECHO)
    install("broken-party", {"broken": "Gpu"}, "raise RuntimeError('no driver')")
    backends = list_backends()
    names = [each.name for each in backends]
    assert names == sorted(names)
    assert {"broken", "echo", "simulated", "zeta"} <= set(names)
    good = BackendInfo("echo", "third-party", Capacity(blocks=8), None)
    assert good == info("echo")
    bad = info("broken")
    assert (bad.distribution, bad.capacity) == ("broken-party", None)
    assert "RuntimeError: no driver" in (bad.problem or "")


def test_the_list_closes_what_it_opens(install: Install) -> None:
    install("third-party", {"echo": "Echo"}, ECHO)
    assert info("echo").problem is None
    made = load_backend("echo")
    assert type(made).closed == 1  # type: ignore[union-attr]  # counted by Echo


def test_the_list_has_both_of_a_name_offered_twice(install: Install) -> None:
    install("second-party", {"echo": "Echo"}, ECHO)
    install("first-party", {"echo": "Echo"}, ECHO)
    both = [each for each in list_backends() if each.name == "echo"]
    assert ["first-party", "second-party"] == [each.distribution for each in both]
    assert {"more than one distribution offers 'echo'"} == {
        each.problem for each in both
    }


def test_the_list_survives_an_error_without_a_message(install: Install) -> None:
    code = """
        def silent():
            raise KeyError
    """
    install("third-party", {"silent": "silent"}, code)
    assert info("silent").problem == "KeyError"


def test_what_the_list_says_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        info("simulated").name = "another"  # type: ignore[misc]  # on purpose
