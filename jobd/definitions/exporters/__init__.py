"""The way out: jobs as what other schedulers read."""
