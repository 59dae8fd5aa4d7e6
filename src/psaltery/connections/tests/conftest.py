"""Fixtures of the connections slice: an organisation with a budget, children on its database."""

import os
import subprocess
import sys
from urllib.parse import urlencode

import httpx2
import pytest

from psaltery.testing.processes import database_url
from psaltery.testing.signed_in import signed_in_as

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
            stdin=subprocess.PIPE,
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


APP = {"mode": "web", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
CALLBACK = "http://localhost:8080/connections/callback"


class Xero:
    """The Xero sandbox, served, and a person in front of its consent page."""

    def __init__(self, **options):
        from psaltery.adapters.xero.sandbox import Client, Sandbox

        clients = [
            Client("sandbox-client", "sandbox-secret", (CALLBACK,)),
            Client("sandbox-public", "", (CALLBACK,)),
        ]
        self.sandbox = Sandbox(orgs=3, clients=clients, **options)
        self.server = self.sandbox.serve()
        self.url = self.server.url

    def consent(self, address, decision="allow", **more):
        """Where the browser is sent after the person decided."""
        query = urlencode({"sandbox_auto": decision, **more})
        answer = httpx2.get(f"{address}&{query}")
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def control(self, place, **sent):
        answer = httpx2.post(f"{self.url}/_control/{place}", json=sent)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def requests(self):
        answer = httpx2.get(f"{self.url}/_control/requests").json()
        return answer["requests"] if isinstance(answer, dict) else answer


@pytest.fixture
def xero(transactional_db, settings):
    """A Xero of three organisations and one practice."""
    xero = Xero()
    settings.PUBLIC_URL = "http://localhost:8080"
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = settings.XERO_LOGIN_URL = xero.url
    yield xero
    xero.server.stop()
    xero.sandbox.close()


@pytest.fixture
def connect(xero):
    """`connect()` adds a connection and consents; `connect(choose=True)` chooses all found too."""
    from psaltery.connections import service

    def connect(name="Books", *, choose=False, values=APP, read_only=False, **more):
        connection = service.add("xero", name, values, read_only=read_only)
        address = service.begin_consent(connection, redirect_uri=CALLBACK)
        connection = service.complete_consent(xero.consent(address, **more))
        if choose:
            service.choose(connection, list(connection.organisations.all()))
        return connection

    return connect


@pytest.fixture
def signed_in(live_app, page, settings):
    """A page of an administrator who is signed in."""

    from psaltery.accounts.models import Person, Role

    ann = Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    return signed_in_as(ann, page, live_app.url)


@pytest.fixture
def vendor(xero, live_app, settings):
    """The Xero sandbox with this run's redirect address registered, and let through our CSP."""
    settings.PUBLIC_URL = live_app.url
    xero.control(
        "clients",
        id="sandbox-client",
        secret="sandbox-secret",
        redirect_uris=[CALLBACK, f"{live_app.url}/connections/callback"],
    )
    policy = settings.CONTENT_SECURITY_POLICY
    directives = {**policy["DIRECTIVES"], "form-action": ["'self'", xero.url]}
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives}
    return xero
