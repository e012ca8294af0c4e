"""Measures jobd beside the raw limits of the same machine in the same seconds; `bench/run` is the way in."""
