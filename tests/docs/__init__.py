"""What the README and docs/ show is held to jobd itself: commands are run, definitions loaded, Python executed."""
