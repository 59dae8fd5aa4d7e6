"""The command line's groups, one module each. `psaltery.cli` puts them together.

A module imports nothing of Django and no slice at its top: settings are read when a command
runs, by `psaltery.startup.start()`, and slices are imported after it.
"""
