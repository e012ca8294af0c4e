"""HTTP for executors: connections that are checked, kept and bounded in time, and exchanges over them."""
