"""What the keys of well-known services begin with, and what they look like from there on.

Put together from the formats that the services publish themselves and from GitHub's list of supported patterns
(docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns).
"""

from __future__ import annotations

import re

_WORD = r"[A-Za-z0-9_-]"
_PREFIXES: dict[str, str] = {
    # Clouds
    "AKIA": r"[A-Z0-9]{16}",
    "ASIA": r"[A-Z0-9]{16}",
    "ABIA": r"[A-Z0-9]{16}",
    "ACCA": r"[A-Z0-9]{16}",
    "AIza": rf"{_WORD}{{35}}",
    "ya29.": rf"{_WORD}{{20,400}}",
    "GOCSPX-": rf"{_WORD}{{20,400}}",
    "dop_v1_": r"[0-9a-f]{64}",
    "doo_v1_": r"[0-9a-f]{64}",
    "dor_v1_": r"[0-9a-f]{64}",
    "dapi": r"[0-9a-f]{32}",
    "tskey-": rf"{_WORD}{{16,400}}",
    # Code and packages
    **{f"gh{kind}_": r"[A-Za-z0-9]{20,400}" for kind in "pousr"},
    "github_pat_": r"[A-Za-z0-9_]{22,400}",
    **{f"gl{kind}-": rf"{_WORD}{{16,400}}" for kind in ("pat", "dt", "rt", "cbt", "ptt", "ft", "agent", "soat", "imt")},
    "npm_": r"[A-Za-z0-9]{30,400}",
    "pypi-": rf"AgE{_WORD}{{40,400}}",
    "rubygems_": r"[0-9a-f]{40,400}",
    "dckr_pat_": rf"{_WORD}{{20,400}}",
    "ATATT3": r"[A-Za-z0-9_=-]{40,400}",
    "PMAK-": rf"{_WORD}{{20,400}}",
    # Talking
    **{f"xox{kind}-": r"[A-Za-z0-9-]{8,400}" for kind in "abceoprs"},
    "xapp-": r"[A-Za-z0-9-]{16,400}",
    "SG.": rf"{_WORD}{{16,400}}\.{_WORD}{{16,400}}",
    "key-": r"[0-9a-z]{32}",
    # Money
    **{f"{kind}_{mode}_": r"[A-Za-z0-9]{10,400}" for kind in ("sk", "rk") for mode in ("live", "test")},
    "whsec_": r"[A-Za-z0-9+/=]{16,400}",
    **{f"shp{kind}_": r"[0-9a-fA-F]{32}" for kind in ("at", "ca", "pa", "ss")},
    "sq0atp-": rf"{_WORD}{{20,400}}",
    "sq0csp-": rf"{_WORD}{{20,400}}",
    # Models, secrets, watching
    "sk-": rf"{_WORD}{{20,400}}",
    "hf_": r"[A-Za-z0-9]{30,400}",
    **{f"hv{kind}.": rf"{_WORD}{{20,400}}" for kind in "sbr"},
    "AGE-SECRET-KEY-1": r"[A-Z0-9]{40,400}",
    "glsa_": r"[A-Za-z0-9_]{30,400}",
    "glc_": r"[A-Za-z0-9+/=_-]{30,400}",
    "NRAK-": r"[A-Z0-9]{20,400}",
    "sntrys_": rf"{_WORD}{{30,400}}",
    "lin_api_": r"[A-Za-z0-9]{30,400}",
    "figd_": rf"{_WORD}{{30,400}}",
}
KEYS = {prefix.encode(): re.compile(rest.encode()) for prefix, rest in _PREFIXES.items()}
"""Prefix → the rest of a key."""
