"""The command line's frame: which commands there are, loaded only when used, and how faults end.

Each command lives in its own module with a function ``register(app)`` that adds it to a typer app. The
modules are imported on use, so that ``expertmail --help`` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple

# Looking for plugins of pydantic (typer's) among all installed packages takes a tenth of a short command's time.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

import typer
from typer.core import TyperGroup

from expertmail.faults import ExitCode, FaultError


class Entry(NamedTuple):
    """A command: the module that holds it, its line in ``--help``, and the panel it stands in."""

    module: str
    help: str
    panel: str


_START = "Start"
_JUDGE = "Judge a message"
_DAILY = "Daily work"
_OPERATE = "Operate"

COMMANDS: dict[str, Entry] = {
    "serve": Entry("expertmail.serve_command", "Start gateway, delivery and console.", _START),
    "demo": Entry("expertmail.demo_command", "Run the whole main job on loopback and show it.", _START),
    "verify": Entry("expertmail.verify_here", "Give the verdict on saved messages.", _JUDGE),
    "inspect": Entry("expertmail.inspect_command", "Show how the gateway reads a message.", _JUDGE),
    "incidents": Entry("expertmail.incidents_command", "Open, list, show and change incidents.", _DAILY),
    "orgs": Entry("expertmail.orgs_command", "Add, show, change or erase customers.", _DAILY),
    "contacts": Entry(
        "expertmail.contacts_command", "Add, list, show, change and remove customers' contacts.", _DAILY
    ),
    "calls": Entry("expertmail.calls_command", "Telephone customers in break-glass cases.", _DAILY),
    "compose": Entry("expertmail.compose_command", "Write to a customer.", _DAILY),
    "approvals": Entry("expertmail.approvals_command", "Approve, refuse and review mail of others.", _DAILY),
    "outbox": Entry("expertmail.outbox_command", "Show, retry or cancel mail on its way out.", _DAILY),
    "held": Entry(
        "expertmail.held_command", "Show, release or discard mail that waits for an expert.", _DAILY
    ),
    "inquiries": Entry(
        "expertmail.inquiries_command", "Questions to the experts: write down, answer, look back.", _DAILY
    ),
    "review": Entry("expertmail.review_command", "Show and send the figures of a month or quarter.", _DAILY),
    "search": Entry("expertmail.search_command", "Search the messages on record.", _DAILY),
    "attachments": Entry(
        "expertmail.attachments_command", "List what came attached, and write one file to disk.", _DAILY
    ),
    "keys": Entry("expertmail.keys_command", "List, make and rotate DKIM keys.", _OPERATE),
    "dns": Entry("expertmail.dns_command", "Show the DNS records to publish, and check them.", _OPERATE),
    "identity": Entry("expertmail.identity_command", "Show or check the protected identities.", _OPERATE),
    "db": Entry("expertmail.db_command", "Upgrade, check, back up or restore the database.", _OPERATE),
    "audit": Entry(
        "expertmail.audit_command", "Show who did what, and check that nobody changed it.", _OPERATE
    ),
    "tokens": Entry("expertmail.tokens_command", "Let programs use the HTTP interface.", _OPERATE),
    "teams": Entry("expertmail.teams_command", "Let Teams channels follow incidents.", _OPERATE),
    "webhooks": Entry("expertmail.webhooks_command", "Let programs hear of each timeline entry.", _OPERATE),
    "accounts": Entry("expertmail.accounts_command", "Who signs in to the console.", _OPERATE),
    "replay": Entry("expertmail.replay_command", "Judge a stored message again from its evidence.", _OPERATE),
    "bench": Entry("expertmail.bench_command", "Measure the verifier on this machine.", _OPERATE),
}


class LazyGroup(TyperGroup):
    """A command group that imports a command's module when the command is used."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is typer's
        """The command, imported now; while help is printed, only its name and line."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        if self._listing:
            return self.commands[cmd_name]
        return load(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the list of commands without importing them."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


@cache
def load(name: str) -> Any:
    """Import and return the command of that name; raises KeyError for an unknown one.

    Made once: putting the options of one group together takes a tenth of a second.
    """
    module = importlib.import_module(COMMANDS[name].module)
    holder = typer.Typer(add_completion=False)
    holder.callback()(_holder)  # keeps the holder a group even with a single command in it
    module.register(holder)
    return typer.main.get_group(holder).commands[name]


def _holder() -> None:
    """Hold one command."""


app = typer.Typer(
    cls=LazyGroup,
    name="expertmail",
    help="The mail side of an expert-led security service: verify mail, file it, answer it.",
    epilog="expertmail COMMAND --help tells all about a command. Settings: --config FILE or EXPERTMAIL_… variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    """Print the version and stop."""
    if show:
        version = importlib.import_module("importlib.metadata").version("expertmail")
        form = importlib.import_module("expertmail.build_form").build_form()
        typer.echo(f"expertmail {version} (verifier as {form})")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Hold what all commands share."""


def _placeholder() -> None:
    """Stand in the list of commands; replaced by the real command when used."""


for _name, _entry in COMMANDS.items():
    app.command(_name, help=_entry.help, rich_help_panel=_entry.panel)(_placeholder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with the command's exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; expected faults become one sentence on stderr."""
    command = _whole()
    try:
        outcome = command.main(args=arguments, prog_name="expertmail", standalone_mode=False)
    except typer.TyperException as error:
        return _usage(error)
    except typer.Abort:
        return _say("Stopped.", 1)
    except FaultError as fault:
        return _say(fault.sentence, fault.code)
    except BrokenPipeError:
        # The reader of our output went away; what is left in the buffer must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - a fault of ours is told in one sentence, never swallowed
        return _say(_unexpected(error), ExitCode.SOFTWARE)
    return outcome if isinstance(outcome, int) else 0


@cache
def _whole() -> Any:
    return typer.main.get_command(app)


def _unexpected(error: Exception) -> str:
    """What went wrong and where, without the text of the exception: it may hold what a message says."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119 - a name, not a path
    return (
        f"This is a fault of expertmail ({type(error).__name__}{place}); please report it with the command."
    )


def _usage(error: typer.TyperException) -> int:
    """Tell bad usage; 64 is EX_USAGE, so that exit code 2 keeps its meaning as a verdict."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        # With no arguments typer has printed the help already; there is no message to add.
        if message:
            typer.echo(message)
        return ExitCode.USAGE
    where = f" See: {context.command_path} --help" if context is not None else ""
    message = " ".join(message.replace("Value error, ", "").split())  # one sentence on one line
    return _say(message.rstrip(".") + "." + where, ExitCode.USAGE)


def _say(sentence: str, code: int) -> int:
    """Print a sentence to stderr; returns the code."""
    typer.echo(f"expertmail: {sentence}", err=True)
    return code


if __name__ == "__main__":
    main()
