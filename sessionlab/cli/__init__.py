"""The command line: each command parses, makes one library call and prints. Data goes to stdout, progress and errors to stderr.

Every command takes `--json`, whose object carries `schema_version`. Exit codes: 0 ok, 1 findings, 2 usage, 3 data loss or a store that
cannot be read as what it claims to be, 4 conflict, 10 no store or none that can be read, 11 locked, 12 unknown format version, 130
interrupted, 141 whoever read the output went away, 143 terminated.
Commands are imported when they are called, and heavy packages only inside them: `--help` answers at once.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from sessionlab import __version__
from sessionlab.cli import calling, streams
from sessionlab.cli.next_step import with_next_step
from sessionlab.errors import SessionLabError, UsageError

if TYPE_CHECKING:
    from types import FrameType

_COMMANDS: Final = {
    "audit": "Say whether what a migration proved still holds.",
    "bench": "Measure speed and memory of the stores and of moving them.",
    "check": "Read stores strictly and list what is wrong with them.",
    "check-growth": "Fail when stores grow faster or larger than they may: for continuous integration.",
    "export": "Export OpenClaw's SQLite store to files that a JSON-era OpenClaw lists.",
    "get": "Print one session's entry as JSON.",
    "info": "Say what stores lie at a path: kind, sessions, bytes, fingerprint.",
    "lab": "Open JupyterLab on the notebooks.",
    "list": "List sessions, the newest first.",
    "load": "Load stores and transcripts into a DuckDB file.",
    "maintain": "Say which sessions a store could do without, and remove them on demand.",
    "memory": "Look into the shared memory of parallel sessions.",
    "migrate": "Move sessions to a store of another kind, and prove that every one arrived.",
    "query": "Answer one of the lab's questions as a table, CSV or JSON.",
    "reap": "Remove the sessions that cron runs and webhooks left, after their retention.",
    "report": "Make a report as one HTML file (growth by default).",
    "rollback": "Undo a migration, with the sessions that were born after it.",
    "run": "Run notebooks with parameters, several at once.",
    "store-info": "Say which kind of store is configured, and which lies where.",
    "synth": "Write a realistic synthetic state folder.",
    "undo": "Bring back what a maintenance removed.",
    "verify": "Say whether one store or state folder holds all that another one holds.",
}


_EXIT_CODES: Final = (
    "Exit codes: 0 ok, 1 findings, no such session or a failed notebook, 2 usage (an output that cannot be written, too), 3 a store that "
    "is not what it claims to be, 4 two stores that disagree, 10 no store, or none that can be read, 11 locked, 12 unknown format "
    "version, 130 interrupted, 141 whoever read the output went away, 143 terminated."
)
_BROKEN_PIPE: Final = 128 + signal.SIGPIPE
"""As of a program that SIGPIPE ends."""
_END_SIGNALS: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class _Commands(click.Group):
    """The commands by name; a command's module is imported only when it is needed."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; the error about an unknown one names those that look like it."""
        name = args[0]
        if name not in _COMMANDS:
            from difflib import get_close_matches  # 5 ms that only a mistake pays

            close = " or ".join(repr(known) for known in get_close_matches(name, _COMMANDS))
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {close}?" if close else ""))
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the commands in the order of the help."""
        return [*_COMMANDS]  # once its module is imported, `list` is our command here

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Return the command, or `None`."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"sessionlab.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([*_COMMANDS.items()])


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", prog_name="sessionlab")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, whatever the command (without one: the stores found).")
@click.pass_context
def main_group(ctx: click.Context, *, as_json: bool) -> None:
    """Measure, query and draw the session stores of AI agents.

    Without a command: says which stores $OPENCLAW_STATE_DIR or ~/.openclaw holds, how big they are, and what to do next.
    """
    ctx.meta["sessionlab.json"] = as_json
    if ctx.invoked_subcommand is None:
        from sessionlab.cli.info import overview

        overview(as_json=as_json)


def main() -> None:
    """Run the command line and exit with its code."""
    calling.take_name()
    _listen()
    streams.watch()
    try:
        try:
            code = _run(sys.argv[1:])
            streams.flush()
        except (click.Abort, KeyboardInterrupt):
            _interrupted()
    except streams.OutputLostError as lost:
        code = _BROKEN_PIPE  # whoever read our output has enough of it (`sessionlab ... | head`), which is nothing to speak of
        if not lost.is_unread:
            click.echo(f"sessionlab: cannot write the output: {lost.reason}", err=True)
            code = UsageError.exit_code
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run a command, say what went wrong, and return the exit code."""
    try:
        code = main_group.main(args=arguments, prog_name=calling.program(), standalone_mode=False)
    except SessionLabError as error:
        return _failed(error, with_next_step(error), error.exit_code, arguments)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path.removeprefix(calling.program()) if error.ctx is not None else None
        hint = f"; see '{calling.program()}{command} --help'" if command is not None else ""
        return _failed(error, error.format_message().rstrip(".") + hint, error.exit_code, arguments)
    except click.ClickException as error:
        return _failed(error, error.format_message(), error.exit_code, arguments)
    except RuntimeError as error:
        # That is what DuckDB makes of Ctrl-C during a query.
        if "interrupted" not in str(error).lower():
            raise
        raise KeyboardInterrupt from error
    return code if isinstance(code, int) else 0


def _listen() -> None:
    """Let a request to terminate end the program as Ctrl-C does: what is half done is put away first."""
    for number in _END_SIGNALS:
        # A shell lets its background jobs ignore Ctrl-C; they go on to.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


_stopped_by = signal.SIGINT


def _stop(number: int, _frame: FrameType | None) -> None:
    # Kept here, too: DuckDB makes an error of its own of whatever is raised during a query.
    global _stopped_by  # noqa: PLW0603
    _stopped_by = signal.Signals(number)
    raise KeyboardInterrupt


def _interrupted() -> NoReturn:
    click.echo(f"sessionlab: {_END_SIGNALS[_stopped_by]}", err=True)
    # Private copies are removed now; what is left is the interpreter's own end, in which DuckDB, stopped half-way, lists what it lost.
    atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter calls itself; there is no public name for it
    with contextlib.suppress(OSError, streams.OutputLostError):
        streams.flush()
    os._exit(128 + _stopped_by)


def _failed(error: Exception, message: str, exit_code: int, arguments: list[str]) -> int:
    """Say one line on stderr, and with `--json` an object on stdout too; return the exit code."""
    message = calling.as_called(message)
    click.echo(f"sessionlab: {message}", err=True)
    if "--json" in arguments:
        from sessionlab.cli.output import echo_json

        echo_json({"error": {"type": type(error).__name__, "message": message, "exit_code": exit_code}})
    return exit_code
