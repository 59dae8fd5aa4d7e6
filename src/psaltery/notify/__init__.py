"""Who is told what, when and where: rules, the outbox, and the messages themselves."""
