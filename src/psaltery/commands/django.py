"""`psaltery django`: Django's own commands, for those who develop Psaltery."""

import os

import typer

# Django reads its options itself, `--help` among them.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def django(context: typer.Context) -> None:
    """Run one of Django's own commands, such as makemigrations or dbshell."""
    from psaltery import database, startup

    startup.prepare()
    # dbshell wants psql; the private PostgreSQL's is taken where the machine has none.
    os.environ["PATH"] += f"{os.pathsep}{database.PROGRAMS}"
    startup.set_up_django()
    from django.core.management import execute_from_command_line

    execute_from_command_line(["psaltery django", *context.args])
