"""The demo: a believable MSP in both sandboxes, connected, synced, and at work."""
