"""A serializer: amounts of money that must not become floats. `{"amount": Decimal("0.10")}` goes and comes as that."""

from __future__ import annotations

from decimal import Decimal


class Decimals:
    name = "decimal"
    version = 2

    def dump(self, value):
        """Each Decimal as {"$d": "0.10"}."""
        if isinstance(value, Decimal):
            return {"$d": str(value)}
        if isinstance(value, dict):
            return {key: self.dump(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.dump(one) for one in value]
        return value

    def load(self, data, version):
        """Version 1 wrote texts that began with "d:"; runs that were submitted then may still wait."""
        if version == 1 and isinstance(data, str) and data.startswith("d:"):
            return Decimal(data[2:])
        if isinstance(data, dict):
            if data.keys() == {"$d"}:
                return Decimal(data["$d"])
            return {key: self.load(one, version) for key, one in data.items()}
        if isinstance(data, list):
            return [self.load(one, version) for one in data]
        return data


serializer = Decimals()
