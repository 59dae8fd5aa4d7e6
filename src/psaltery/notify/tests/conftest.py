"""A real mail server on loopback, an administrator, and an office."""

import logging
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from psaltery.accounts.models import Person
    from psaltery.connections.models import Organisation
    from psaltery.notify.tests.world import MailServer


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def mail_server(settings) -> Iterator["MailServer"]:
    """A mail server that listens, and settings that lead to it."""
    from psaltery.notify.tests.world import MailServer

    # It tells every line of every session, also from its thread while the run ends.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    handler = MailServer(port=free_port())
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", handler.port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_TIMEOUT = 5
    yield handler
    controller.stop()


@pytest.fixture
def ada(db) -> "Person":
    from psaltery.notify.tests.world import person

    return person("ada@example.com")


@pytest.fixture
def office(db) -> "Organisation":
    from psaltery.notify.tests.world import make_office

    return make_office("Adelaide")
