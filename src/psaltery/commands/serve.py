"""`psaltery run`, `web`, `worker`, `migrate`: the processes of an installation."""

import socket
from typing import TYPE_CHECKING, Annotated

import typer

from psaltery.commands.printing import ExitCode, Json, say, show_facts, stop

if TYPE_CHECKING:
    from psaltery.environment import Environment

Concurrency = Annotated[
    int | None,
    typer.Option(min=1, help="Jobs at once. Default: PSALTERY_WORKER_CONCURRENCY."),
]


SchemaKnown = Annotated[bool, typer.Option("--schema-known", hidden=True)]


def run(json: Json = False) -> None:
    """Run everything: web server, worker and, unless one is given, PostgreSQL."""
    from psaltery import processes, startup, supervisor
    from psaltery.environment import environment

    # Before anything starts: found out by the server, PostgreSQL would have been started for
    # nothing.
    _port_is_free(environment(), json)
    # Before PostgreSQL starts, which would otherwise become somebody else's to clear away.
    processes.adopt_orphans()
    env = startup.start_apart()

    def ready() -> None:
        if json:
            show_facts({"url": env.public_url, "data": env.data}, json=True)
        else:
            say(f"Psaltery is at {env.public_url}  (Ctrl-C stops it)")

    supervisor.run(env, ready)


def web(json: Json = False, schema_known: SchemaKnown = False) -> None:
    """Run the web server alone."""
    from psaltery import serving, startup
    from psaltery.environment import environment

    _port_is_free(environment(), json)
    env = startup.prepare() if schema_known else startup.start_apart()
    serving.serve(env)


def worker(
    concurrency: Concurrency = None, json: Json = False, schema_known: SchemaKnown = False
) -> None:
    """Run one worker, which does the jobs. Start as many as you like, on any machine."""
    from psaltery import startup

    env = startup.start(schema_known=schema_known)
    from psaltery import jobs

    jobs.run_worker(concurrency or env.worker_concurrency)


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 3 when it is behind.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring the database's schema up to date."""
    from psaltery import database, startup

    env = startup.prepare()
    startup.set_up_django()
    from psaltery import migrations

    # Changes nothing, so that a deployment can ask first and wait for a person.
    if check and migrations.pending():
        stop(startup.BEHIND, ExitCode.NEEDS_PERSON, json=json)
    applied = [] if check else migrations.migrate(database.address(env))
    if json:
        show_facts({"applied": applied}, json=True)
    elif applied:
        say(f"The database's schema is up to date: {len(applied)} migrations applied.")


def _port_is_free(env: "Environment", json: bool) -> None:
    family = socket.AF_INET6 if ":" in env.bind else socket.AF_INET
    with socket.socket(family) as probe:
        # As the server does: a port that was closed a second ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((env.bind, env.port))
        except OSError as error:
            stop(
                f"Can't listen on {env.bind}:{env.port}: {error.strerror}."
                " Set PSALTERY_PORT to another port, or end the program that uses it.",
                ExitCode.PROBLEMS,
                json=json,
            )
