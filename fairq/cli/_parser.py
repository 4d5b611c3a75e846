"""The grammar of the command line: commands, options, defaults, help."""

import argparse
import importlib.metadata
from pathlib import Path
from typing import Final, NoReturn

from fairq.cli import _arguments as to
from fairq.cli._policies import FORMS
from fairq.cli._sharing import SCOPES
from fairq.errors import UsageError
from fairq.order import Order
from fairq.policy import Admission
from fairq.sim import TENANTS, WINDOW_S

ABOUT: Final = (
    "Token-fair scheduling for LLM serving: replay real traces, and see who got what."
)

SMALL_MODEL: Final = "smollm2"
"""What runs when no model is named: small enough for every machine."""

MODEL: Final = "a model's file or folder, or a name that 'fairq models' lists"
MODES: Final = ("exact", "fast")
DTYPES: Final = ("float32", "bfloat16")


class Parser(argparse.ArgumentParser):
    """A parser that reports a wrong command line as one line, like every error."""

    def error(self, message: str) -> NoReturn:
        msg = f"{message.rstrip('.')}. More: {self.prog} --help"
        raise UsageError(msg)


def parser() -> Parser:
    """The parser of the ``fairq`` command; it leaves the command's name behind."""
    root = Parser(prog="fairq", description=ABOUT, allow_abbrev=False)
    root.add_argument("--version", action="version", version=f"fairq {_version()}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_demo(_command(commands, "demo", "run a real trace under FCFS and under VTC"))
    _add_replay(_command(commands, "replay", "run traces on a simulated machine"))
    _add_measure(_command(commands, "measure", "report on a log of requests"))
    _add_generate(_command(commands, "generate", "let a model continue a prompt"))
    _add_models(_command(commands, "models", "list or fetch published models"))
    _command(commands, "backends", "list the backends that are installed")
    return root


def _version() -> str:
    try:
        return importlib.metadata.version("fairq")
    except importlib.metadata.PackageNotFoundError:
        return "(run from a source tree that is not installed)"


def _command(
    commands: "argparse._SubParsersAction[Parser]", name: str, summary: str
) -> Parser:
    about = f"{summary[0].upper()}{summary[1:]}."
    return commands.add_parser(
        name, help=summary, description=about, allow_abbrev=False
    )


def _add_demo(command: Parser) -> None:
    command.set_defaults(draws=True)
    command.add_argument(
        "--backend",
        default="simulated",
        metavar="NAME",
        help="who executes the steps; 'torch' serves three tenants on a real model, "
        "in about a minute on two CPU cores (default: %(default)s)",
    )
    command.add_argument(
        "--model",
        metavar="PATH|NAME",
        help=f"for a backend that runs one: {MODEL} (default: {SMALL_MODEL})",
    )
    _add_mode(command)
    command.add_argument(
        "--plot",
        type=to.picture,
        metavar="OUT.png",
        help="where the picture goes (default: fairq-demo.png, or "
        "fairq-demo-NAME.png for the backend NAME)",
    )


def _add_mode(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--mode",
        choices=MODES,
        help="exact: a text does not depend on what else runs; fast: what is quickest "
        "(default: the backend's)",
    )


def _add_replay(command: Parser) -> None:
    command.add_argument(
        "traces",
        nargs="*",
        type=Path,
        metavar="TRACE",
        help="trace files (plain CSV, arena, Azure, Mooncake or agent sessions; may "
        "be gzipped), or groups:GROUPSxMEMBERS[:PREFIX+OWN:OUTPUT]; with several, "
        "tenants are kept apart by file",
    )
    _add_policy(command.add_argument_group("policy"))
    _add_cache(command.add_argument_group("prefix cache"))
    _add_machine(command.add_argument_group("simulated machine"))
    _add_load(command.add_argument_group("load"))
    _add_outputs(command.add_argument_group("output"))


def _add_policy(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--policy",
        type=to.policy,
        action="append",
        metavar="{" + ",".join(FORMS) + "}",
        help="give it again for another run; gate:Q is vtc with slack Q (gate alone: "
        "200,000) that prefers cached prefixes (default: vtc; with --offline fcfs)",
    )
    group.add_argument(
        "--weights",
        type=to.weights,
        metavar="a=1,b=4",
        help="shares of tenants relative to the others, which have 1",
    )
    group.add_argument(
        "--slack",
        type=to.number(0),
        metavar="Q",
        help="width of vtc's gate, in service units per weight (default: 0)",
    )
    group.add_argument(
        "--admission",
        choices=[admission.value for admission in Admission],
        help="KV blocks as outputs grow, or reserved for max_tokens (default: "
        "optimistic; with --offline reserve)",
    )
    group.add_argument(
        "--order",
        choices=[order.value for order in Order],
        help="inside the gate (default: prefix for lpm, dlpm and gate, else fifo)",
    )


def _add_cache(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--prefix-cache",
        action=argparse.BooleanOptionalAction,
        help="keep the KV of prompts for others that begin alike (default: if a trace "
        "tells what prompts have in common)",
    )
    group.add_argument(
        "--share-prefixes",
        choices=SCOPES,
        help="a cache for each tenant, or one for all (default: tenant)",
    )
    group.add_argument(
        "--offline",
        action="store_true",
        help="plan the whole job first: all requests are there at once, in the best "
        "order for one cache",
    )


def _add_machine(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--gpu",
        default="h100-llama3-8b",
        metavar="PRESET",
        help="GPU and model whose step times are used; 'list' lists them "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--kv-tokens",
        type=to.whole(1, "tokens"),
        metavar="N",
        help="size of the KV pool (default: what that GPU has room for)",
    )
    _add_whole(group, "--block-size", 16, "tokens", "tokens per KV block")
    _add_whole(group, "--token-budget", 2048, "tokens", "most tokens in one step")
    group.add_argument(
        "--max-sequences",
        type=to.whole(1, "sequences"),
        metavar="N",
        help="most sequences in a step (default: 256; with --offline as many as there "
        "are KV blocks)",
    )
    _add_whole(group, "--seed", 0, "seed", "of the simulated backend", minimum=0)


def _add_whole(
    group: argparse._ArgumentGroup,
    option: str,
    default: int,
    unit: str,
    text: str,
    *,
    minimum: int = 1,
) -> None:
    kind = to.whole(minimum, unit)
    text = f"{text} (default: %(default)s)"
    group.add_argument(option, type=kind, default=default, metavar="N", help=text)


def _add_load(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--speed",
        type=to.number(0, exclusive=True),
        default=1.0,
        metavar="X",
        help="divide arrival times by this; 2 doubles the load (default: 1)",
    )
    group.add_argument(
        "--max-tokens",
        type=to.max_tokens,
        default=to.EXACT,
        metavar="exact|N",
        help="what the kernel is told: each output's true length, or N for all "
        "(default: exact)",
    )
    _add_whole(group, "--tenants", TENANTS, "tenants", "tenants of a Mooncake trace")
    _add_sessions(group)


def _add_sessions(group: argparse._ArgumentGroup) -> None:
    what = "by this all lengths of agent sessions are divided"
    _add_whole(group, "--divide-lengths", 1, "divisor", what)
    group.add_argument(
        "--window",
        type=to.number(0),
        default=WINDOW_S,
        metavar="S",
        help="seconds in which agent sessions begin (default: %(default)g)",
    )
    group.add_argument(
        "--longest-pause",
        type=to.number(0),
        metavar="S",
        help="cut longer pauses inside agent sessions to this (default: keep them)",
    )


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    for option, kind, metavar, text in (
        ("--json", Path, "OUT", "write the report"),
        ("--requests-csv", Path, "DIR", "write requests_<policy>.csv, a row a request"),
        ("--plot", to.picture, "OUT.png", "draw service and first-token latency"),
    ):
        group.add_argument(option, type=kind, metavar=metavar, help=text)


def _add_measure(command: Parser) -> None:
    command.add_argument(
        "log",
        type=Path,
        metavar="LOG",
        help="CSV with client, prompt_tokens, output_tokens, arrival_s, "
        "first_token_latency_s, request_latency_s; may be gzipped",
    )
    command.add_argument("--json", type=Path, metavar="OUT", help="write the report")


def _add_generate(command: Parser) -> None:
    command.epilog = (
        "The last line, on stderr, has the time to the first token and the tokens "
        "after it by the time after it: that is tokens_per_s in the report."
    )
    _add_prompt(command.add_mutually_exclusive_group(required=True))
    command.add_argument(
        "--max-tokens",
        type=to.whole(1, "tokens"),
        default=64,
        metavar="N",
        help="most tokens that are generated (default: %(default)s)",
    )
    command.add_argument("--json", type=Path, metavar="OUT", help="write a report")
    _add_executor(command.add_argument_group("model"))
    _add_sampling(command.add_argument_group("sampling"))


def _add_prompt(group: argparse._ActionsContainer) -> None:
    for option, kind, metavar, text in (
        ("--prompt", to.prompt, "TEXT", "continue this text"),
        ("--prompt-ids", to.token_ids, "1,2,3", "continue these token ids"),
        ("--chat", to.prompt, "TEXT", "answer this, through the model's chat template"),
    ):
        group.add_argument(option, type=kind, metavar=metavar, help=text)


def _add_executor(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--backend",
        default="torch",
        metavar="NAME",
        help="who runs the model (default: %(default)s)",
    )
    group.add_argument(
        "--model",
        default=SMALL_MODEL,
        metavar="PATH|NAME",
        help=f"{MODEL}; fetched if it is not here (default: %(default)s)",
    )
    group.add_argument(
        "--dtype", choices=DTYPES, help="of weights and KV (default: the backend's)"
    )
    _add_mode(group)


def _add_sampling(group: argparse._ActionsContainer) -> None:
    for option, kind, metavar, text in (
        ("--temperature", to.number(0), "X", "above 0, tokens are drawn (default: 0)"),
        ("--top-k", to.whole(0, "tokens"), "K", "among the K most likely; 0 for all"),
        (
            "--top-p",
            to.probability,
            "P",
            "among those that together have probability P",
        ),
        ("--seed", to.whole(0, "seed"), "S", "another seed, another text (default: 0)"),
    ):
        group.add_argument(option, type=kind, metavar=metavar, help=text)


def _add_models(command: Parser) -> None:
    command.set_defaults(action="list")
    actions = command.add_subparsers(dest="action", metavar="[pull NAME]")
    pull = _command(actions, "pull", "fetch a model into the cache")
    pull.add_argument("name", metavar="NAME", help="as 'fairq models' lists it")
