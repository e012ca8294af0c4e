"""Texts with a secret in each, and texts that only look as if, for the tests of masking (RELIABILITY 2.5).

What looks like a key of a service is put together here, so that nothing that reads this file takes it for a real one.
"""

from __future__ import annotations

JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0"
    ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
)
HEX = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"

SECRETS: list[tuple[str, str]] = [
    (f"Authorization: Bearer {JWT}", JWT),
    (f"got {JWT}", JWT),
    ("authorization: bearer abc123DEF456ghi789", "abc123DEF456ghi789"),
    ("Bearer\tZm9vYmFyOmJhei1xdXV4", "Zm9vYmFyOmJhei1xdXV4"),
    ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA=="),
    ("api_key=sk_" + "live_51H9abcdefGHIJKLmn", "51H9abcdefGHIJKLmn"),
    ("charged with sk_" + "live_51H9abcdefGHIJKLmn today", "51H9abcdefGHIJKLmn"),
    ("push with ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F292c6912E7710c838347Ae178B4a"),
    ("AKIA" + "IOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("use aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3f here", "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3f"),
    ("postgres://app:S3cr3t!pw@db/x", "S3cr3t!pw"),
    ("https://:tok3nvalue@host/", "tok3nvalue"),
    ("pg_dump --password=hunter2 shop", "hunter2"),
    ("pg_dump --password hunter2x shop", "hunter2x"),
    ('{"password": "p@ss, with comma"}', "p@ss, with comma"),
    ("DB_PASSWORD='quoted pw'", "quoted pw"),
    (f"client-secret: {HEX}", HEX),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabcd\n-----END RSA PRIVATE KEY-----", "MIIEowIBAAKCAQEA"),
    ("xoxb-" + "123456789012-abcdefABCDEF", "abcdefABCDEF"),
    ("GET /hook?access_token=abcDEF123&y=1", "abcDEF123"),
    (f"X-Api-Key: {HEX}", HEX),
    ("Cookie: session=s3ss10nvalue; theme=dark", "s3ss10nvalue"),
    ("Set-Cookie: sid=s3ss10nvalue; Path=/; HttpOnly", "s3ss10nvalue"),
    ("PGPASSWORD=pgpw12 psql shop", "pgpw12"),
    ("curl -s -u alice:w0nder http://localhost/", "w0nder"),
    ("sshpass -p x9y8z ssh host", "x9y8z"),
    (
        "AccountName=a;AccountKey=Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4==;EndpointSuffix=x",
        "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4==",
    ),
    ('body: {\\"password\\":\\"abc def\\"}', "abc def"),
    ("password: swordfish", "swordfish"),
    ("{'token': 'abc-def-ghi'}", "abc-def-ghi"),
    ("<password>inside xml</password>", "inside xml"),
    ("mysql -u root -ps3cretpw shop", "s3cretpw"),
    ("ALTER USER app IDENTIFIED BY 'newpw99'", "newpw99"),
    ('{"auth": "dXNlcjpwYXNzd29yZA=="}', "dXNlcjpwYXNzd29yZA=="),
    ("npm_config__authToken=abcdef123456", "abcdef123456"),
]

LOOKALIKES = [
    "release 1.2.3 of www.example.com done",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "SHA256 (a.iso) = E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "123e4567-e89b-12d3-a456-426614174000",
    "/usr/lib/python3/dist-packages/a-very-long-directory-name-that-goes-on/and_on.py",
    "at com.example.scheduler.lifecycle.JobLifecycleCoordinator.run(JobLifecycleCoordinator.java:42)",
    "nightly-database-backup-and-verify-production-replica-eu",
    "Bearer of bad news arrived",
    "password reset completed for bob",
    "author=bob compass: north monkey: banana keyboard=us",
    "-" * 50,
    "=" * 40,
    "tokens: 512",
    "password: required",
    "token=null",
    "2026-03-01T12:00:00.123456Z",
    "fe80::1ff:fe23:4567:890a",
    "http://localhost:9090/metrics",
    "git@github.com:org/repo.git",
    "MAX_CONCURRENT_RUNS_PER_QUEUE_DEFAULT=4",
    "a" * 40,
    "module.sub.func raised",
    "mailto:user@example.org",
    "2@3 http://host:8080",
    "secret santa list",
    "backup-2026-03-01-0230.log",
    "syntax error near unexpected token: fi",
    "token_type=Bearer expires_in=3600",
    "Token::new() failed",
    "Basic authentication is on",
    "integrity sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "PWD=/home/x PATH=/usr/bin",
    "password_file=/etc/x secret-name: db",
    "task-12345678901234567890 disk-abcdefghijklmnopqrstuvwxyz is full",
    "image registry.example.com:5000/shop/api:v1.20.3@sha256:e3b0c44298fc1c149afbf4c8996fb924",
    "aaa.bbb.ccc eyJub3QganNvbg.eyJub3QganNvbg.x",
    "password: ${DB_PASSWORD} token: <token> secret=****",
    "ipfs QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG",
]
