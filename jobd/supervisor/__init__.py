"""The daemon: it boots, ticks, drains, and is the only place that knows all the others."""
