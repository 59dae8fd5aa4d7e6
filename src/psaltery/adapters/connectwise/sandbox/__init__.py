"""ConnectWise PSA emulated over real HTTP, for the demo, the tests and rehearsals."""

from psaltery.adapters.connectwise.sandbox.access import ApiKey
from psaltery.adapters.connectwise.sandbox.command import Options, run
from psaltery.adapters.connectwise.sandbox.drafts import NewInvoice, NewLine
from psaltery.adapters.connectwise.sandbox.site import Sandbox
from psaltery.adapters.connectwise.sandbox.world import Behaviour, World

__all__ = [
    "ApiKey",
    "Behaviour",
    "NewInvoice",
    "NewLine",
    "Options",
    "Sandbox",
    "World",
    "run",
]
