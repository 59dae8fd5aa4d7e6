"""Xero, emulated over real HTTP: for the demo, the tests and rehearsals."""

from psaltery.adapters.xero.sandbox.command import Options, run
from psaltery.adapters.xero.sandbox.server import DEFAULT_CLIENT, Sandbox
from psaltery.adapters.xero.sandbox.state import Client

__all__ = ["DEFAULT_CLIENT", "Client", "Options", "Sandbox", "run"]
