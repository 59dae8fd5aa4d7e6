"""`psaltery sandbox`: a vendor's API emulated on this machine, for rehearsals and tests."""

import runpy
import sys

import typer

app = typer.Typer(
    help="Run a vendor's API emulated on this machine, for rehearsals and tests.",
    no_args_is_help=True,
)

# The sandbox's own program reads its options, `--help` among them.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=PASS_ON)
def xero(context: typer.Context) -> None:
    """Xero's API under one origin. `--help` lists its options."""
    _run("xero", context.args)


@app.command(context_settings=PASS_ON)
def connectwise(context: typer.Context) -> None:
    """ConnectWise PSA's API. `--help` lists its options."""
    _run("connectwise", context.args)


def _run(system: str, arguments: list[str]) -> None:
    # The sandbox is a program of its own: it needs no settings and no database of the product.
    sys.argv = [f"psaltery sandbox {system}", *arguments]
    runpy.run_module(f"psaltery.adapters.{system}.sandbox", run_name="__main__")
