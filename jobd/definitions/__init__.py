"""YAML to catalog: what is defined, where it stands, what is wrong with it, and what stays in force meanwhile."""
