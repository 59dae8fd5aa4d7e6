"""The floor: clock, hashing, sealing, text. No business words, no Django, no network."""
