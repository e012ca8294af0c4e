"""A kind of work: `checksum: {path: /srv/dump, algorithm: sha256}` gives the digest of a file as the result."""

from __future__ import annotations

import hashlib

from jobd import Executor, Failed


class Checksum(Executor):
    schema = {
        "type": "object",
        "description": "The digest of a file; a payload {expect: HEX} must be equal to it.",
        "properties": {
            "path": {"type": "string", "pattern": "^/"},
            "algorithm": {"enum": ["sha256", "sha512", "blake2b"]},
        },
        "required": ["path"],
        "additionalProperties": False,
    }

    def faults(self, action, payload):
        expected = payload.get("expect") if isinstance(payload, dict) else None
        if expected is not None and not isinstance(expected, str):
            return [(["expect"], "must be a text of hex digits")]
        return []

    def run(self, work):
        try:
            with open(work.options["path"], "rb") as file:
                digest = hashlib.file_digest(file, work.options.get("algorithm", "sha256")).hexdigest()
        except OSError as error:
            raise Failed(f"{work.options['path']} cannot be read: {error.strerror}") from None
        print(digest)
        expected = work.payload.get("expect") if isinstance(work.payload, dict) else None
        if expected not in (None, digest):
            raise Failed("the file is another one", retryable=False, exit_code=3, result={"digest": digest})
        return {"digest": digest}


executor = Checksum()
