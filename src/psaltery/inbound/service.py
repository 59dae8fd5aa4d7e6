"""What the rest of Psaltery asks of this slice."""

from psaltery.connections.models import Connection
from psaltery.inbound import keys, real_time


def leave(connection: Connection) -> None:
    """Before a connection ends: its callbacks are taken back, its signing keys forgotten.

    A site that can't be reached does not stop it; the audit log then holds the failure.
    """
    real_time.remove(connection)
    for row in keys.of(connection):
        keys.remove(row)
