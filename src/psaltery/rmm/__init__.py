"""Alerts of remote monitoring, told by any system through one signed webhook."""
