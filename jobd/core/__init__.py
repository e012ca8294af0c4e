"""Pure decisions over plain values: no clock, no disk, no process, no socket."""
