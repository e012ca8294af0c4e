"""Ways to extend jobd, each in a module of its own; docs/extending.md tells more."""
