"""`python -m psaltery.adapters.connectwise.sandbox --port N …`"""

import sys

from psaltery.adapters.connectwise.sandbox.command import parse, run

run(parse(sys.argv[1:]))
