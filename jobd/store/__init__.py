"""The only package that knows SQLite: one writer, read-only connections beside it, named statements."""
