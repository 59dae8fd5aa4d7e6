"""`psaltery demo`: the whole product against sandboxes, with a believable MSP in them."""

from pathlib import Path
from typing import Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, as_json_line, stop


def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the pages.")] = 8000,
    data: Annotated[Path, typer.Option(help="Folder for everything the demo keeps.")] = Path(
        ".demo"
    ),
    no_live: Annotated[
        bool, typer.Option("--no-live", help="Only the history; nothing new happens.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed makes another world.")] = 7,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the world of last time.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Sync the history, verify it, and end with 0 or 1.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="About how often something happens, live.")
    ] = 8.0,
    json: Json = False,
) -> None:
    """Run Psaltery against sandboxes with a demo MSP in them; Ctrl-C stops all of it."""
    from psaltery.adapters.errors import Failure
    from psaltery.demo import drive
    from psaltery.demo.stage import StageFailed

    options = drive.Options(
        port=port,
        # Absolute: the processes it starts must find it whatever folder they run in.
        folder=data.absolute(),
        seed=seed,
        live=not no_live,
        fresh=fresh,
        check=check,
        seconds=seconds,
    )
    try:
        code = drive.run(options, _say_json if json else typer.echo)
    # Refused before anything began: another option is needed, and nothing has to be cleared up.
    except drive.DemoRefused as refused:
        stop(str(refused), ExitCode.USAGE, json=json)
    except (StageFailed, Failure) as failed:
        stop(str(failed), ExitCode.PROBLEMS, json=json)
    raise typer.Exit(code)


def _say_json(sentence: str) -> None:
    """One JSON object a line, as things happen."""
    if sentence.strip():
        typer.echo(as_json_line({"said": sentence.strip()}))
