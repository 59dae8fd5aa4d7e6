"""Fixtures of the connections slice: an organisation with a budget, children on its database."""

import os
import subprocess
import sys

import pytest

from psaltery.testing.processes import database_url

PREAMBLE = "import django; django.setup()\n"


@pytest.fixture
def organisation(transactional_db):
    from psaltery.connections.models import Budget, Connection, Organisation

    connection = Connection.objects.create(
        kind="xero", name="Books", state=Connection.State.CONNECTED
    )
    organisation = Organisation.objects.create(
        connection=connection, external_id="tenant-1", name="Harbour IT", chosen=True
    )
    Budget.objects.create(organisation=organisation, per_minute=30)
    return organisation


@pytest.fixture
def child(transactional_db):
    """`child(code)` runs Python code with Django on the test database in a process of its own."""
    started = []

    def start(code, **variables):
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + code],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "psaltery.settings",
                "PSALTERY_DATABASE_URL": database_url(),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
