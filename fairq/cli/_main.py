"""From arguments to an exit code; the only place that prints an error."""

import os
import sys
from collections.abc import Sequence
from typing import Final

from fairq.cli._extras import require
from fairq.cli._parser import parser
from fairq.errors import FairqError

USER_ERROR: Final = 2
INTERRUPTED: Final = 128 + 2  # as a shell reports a command that SIGINT ended
BROKEN_PIPE: Final = 128 + 13  # and SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments after the program's name; None for those of the process.

    Returns:
        The exit code: 0, or 2 when the user has to change something (one line on
        stderr says what), 130 after Ctrl-C, 141 when the reader of stdout is gone.
    """
    try:
        code = _run(argv)
        # Here and not at exit, where a broken pipe could not be caught any more.
        sys.stdout.flush()
    except FairqError as error:
        code = _fail(str(error))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = _give_up_stdout()
    except OSError as error:
        code = _fail(_describe(error))
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as done:  # --help and --version end the parser this way
        return int(done.code or 0)
    # A command that always draws says so; its file name may depend on other options.
    draws = getattr(arguments, "draws", False)
    pictures = draws or getattr(arguments, "plot", None) is not None
    require(arguments.command, pictures=pictures)
    from fairq.cli._commands import COMMANDS  # noqa: PLC0415  # needs what was required

    COMMANDS[arguments.command](arguments)
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(f"fairq: error: {message}\n")
    return USER_ERROR


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def _give_up_stdout() -> int:
    # Python flushes stdout once more at exit; that flush must have somewhere to go.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE
