"""A sink: `sinks: {tally: {file: /var/lib/tally/events.json}}` counts events by kind, for whoever reads the file."""

from __future__ import annotations

import json
import os
from collections import Counter

from jobd import Sink


class Tally(Sink):
    def __init__(self, options):
        self.file = options["file"]
        self.counts = Counter()

    def take(self, event):
        self.counts[event["kind"]] += 1
        draft = f"{self.file}.new"
        with open(draft, "w") as file:
            json.dump(self.counts, file)
        os.replace(draft, self.file)
