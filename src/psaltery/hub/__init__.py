"""One customer over all systems: the list, its page, its timeline."""
