"""The ``mlbench`` command: verbs and exit codes.

0: all done. 1: usage or configuration. 2: some runs failed. 75: interrupted, the same command resumes.
"""

import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from mlbench.api.errors import MlbenchError
from mlbench.cli import (
    cancel,
    check,
    datasets,
    doctor,
    evaluate,
    init_plugin,
    leaderboard,
    logs,
    ls,
    perf,
    plan,
    retry,
    run,
    show,
    status,
)

OK, USAGE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 75

app = typer.Typer(
    name="mlbench",
    help="Benchmark deep metric learning: class-disjoint folds, equal tuning budgets, honest intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _options(
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Use the harness's own components alone, whatever else is installed.")
    ] = False,
) -> None:
    if no_plugins:
        from mlbench.registry.distributions import SWITCH

        os.environ[SWITCH] = ""  # for worker processes too


for verb in (run, plan, status, logs, retry, cancel, leaderboard, evaluate, ls, show, check, init_plugin, doctor):
    app.command(verb.__name__.rpartition(".")[2].replace("_", "-"))(verb.command)
app.add_typer(datasets.app, name="datasets")
app.add_typer(perf.app, name="perf")


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(prog_name="mlbench", standalone_mode=False)
        if code == 130:  # Typer's own answer to an interruption
            raise KeyboardInterrupt
    except MlbenchError as error:
        print(f"mlbench: error: {error}", file=sys.stderr)
        code = USAGE
    except (KeyboardInterrupt, typer.Abort):
        print("mlbench: interrupted; give the same command again to resume", file=sys.stderr)
        code = INTERRUPTED
    except typer.Exit as leave:
        code = leave.exit_code
    except typer.TyperException as error:
        print(_usage(error), file=sys.stderr)
        code = USAGE
    sys.exit(code or OK)


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    if len(sys.argv) < 2:  # no verb: the message is the help
        return str(error)
    return f"mlbench: error: {error.format_message()} See `{context.command_path if context else 'mlbench'} --help`."


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
