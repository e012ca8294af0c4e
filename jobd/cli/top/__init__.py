"""The live view: what is looked at (`look`), how it is laid out (`layout`), the terminal it is on (`console`)."""
