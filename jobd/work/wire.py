"""Orders and reports: what travels between the supervisor and a worker, and how it is framed.

A frame is four bytes of length (big endian) and that many bytes of JSON. The same JSON is what a worker whose
supervisor is gone leaves behind as a file. Nothing here imports more than json and struct.
"""

from __future__ import annotations
