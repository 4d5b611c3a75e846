"""``python -m property_tests``: all properties, and tables of what they saw."""

import argparse
import json
import os
import sys
from pathlib import Path

try:
    import pytest

    from property_tests.record import RECORD
    from property_tests.suite import Watcher
    from property_tests.summary import show, summary
except ModuleNotFoundError as error:
    sys.exit(f'{error}. The tests need their extra: pip install -e ".[test]"')

HERE = Path(__file__).parent
PROFILES = {
    "dev": "50 examples each, about a minute",
    "ci": "200 examples, the same ones each time, under ten minutes",
    "deep": "5,000 examples and a million states, hours",
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m property_tests",
        description="Test the kernel formally, and print what was seen on the way.",
        epilog="Profiles: " + "; ".join(f"{k}: {v}" for k, v in PROFILES.items()),
    )
    made.add_argument(
        "--profile", choices=PROFILES, default="dev", help="how much; dev by default"
    )
    made.add_argument("--json", type=Path, metavar="OUT", help="write results here")
    return made


def pytest_arguments(profile: str) -> list[str]:
    """Unlike in a run of all tests, nothing is printed of what passes."""
    return [
        str(HERE),
        f"--rootdir={HERE.parent}",
        f"--config-file={HERE.parent / 'pyproject.toml'}",
        f"--hypothesis-profile={profile}",
        # A test of the deep profile may take hours; a hang is found in the others.
        f"--timeout={0 if profile == 'deep' else 300}",
        "--quiet",
    ]


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.json is not None:
        refuse_what_cannot_be_written(options.json)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    watcher = Watcher()
    status = pytest.main(pytest_arguments(options.profile), plugins=[watcher])
    if not watcher.complete:
        print("Not all tests have run, so there is nothing to sum up.")  # noqa: T201  # a command prints
        return int(status)
    show(options.profile, watcher, RECORD)
    if options.json is not None:
        text = json.dumps(summary(options.profile, watcher, RECORD), indent=2)
        options.json.write_text(text + "\n")
        print(f"Written: {options.json}")  # noqa: T201  # a command prints
    return int(status)


def refuse_what_cannot_be_written(path: Path) -> None:
    """Before the tests, which take a while. Makes the file if it is not there."""
    try:
        path.open("a").close()
    except OSError as error:
        parser().error(f"--json: cannot write {str(path)!r}: {error.strerror}.")


if __name__ == "__main__":
    sys.exit(main())
