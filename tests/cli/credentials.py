"""Fake credentials of eight kinds, put together at run time so that no scanner takes this for a leak, and stores full of them."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

_DICE: Final = random.Random(20261121)
_LETTERS: Final = string.ascii_letters + string.digits
_PIECE: Final = 12
"""As much of a credential as may not show: a report that quotes less than this of a random text gives nothing away."""


def _text(length: int) -> str:
    return "".join(_DICE.choices(_LETTERS, k=length))


def _coded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


_PEM = "\n".join(_text(64) for _ in range(3))
CREDENTIALS: Final[dict[str, str]] = {
    "API key": "s" + "k-" + _text(40),
    "GitHub token": "gh" + "p_" + _text(36),
    "Slack token": "xo" + "xb-" + f"{_DICE.randrange(10**11)}-{_text(24)}",
    "AWS key": "AK" + "IA" + _text(16).upper() + " / " + _text(40),
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----\n" + _PEM + "\n-----END " + "RSA PRIVATE KEY-----\n",
    "JWT": ".".join((_coded({"alg": "HS256", "typ": "J" + "WT"}), _coded({"sub": _text(20)}), _text(43))),
    "password in a URL": "postgres" + "://admin:" + _text(24) + "@db.example.org/sessions",
    "bearer token": "Bear" + "er " + _text(48),
}
ACCOUNT: Final = "".join(_DICE.choices("123456789", k=30))
"""A number may be a secret, too; this one is out of range, and therefore talked about."""


def pieces(text: str) -> set[bytes]:
    """Return what of a credential may stand nowhere: every stretch of twelve characters of its random parts."""
    random_parts = [
        part for part in text.replace("\n", " ").replace("/", " ").replace("@", " ").replace(":", " ").split() if len(part) >= 16
    ]
    return {part[at : at + _PIECE].encode() for part in random_parts for at in range(len(part) - _PIECE + 1)}


PLANTED: Final[dict[str, set[bytes]]] = {
    name: found - {b"PRIVATE KEY-"}
    for name, found in {**{k: pieces(v) for k, v in CREDENTIALS.items()}, "account": pieces(ACCOUNT)}.items()
}


def leaks(places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return which kind of credential stands in which place."""
    return [f"{kind} in {place}" for place, data in places for kind, found in PLANTED.items() if any(piece in data for piece in found)]


def files_below(*folders: Path) -> Iterable[tuple[str, bytes]]:
    """Yield (path, bytes) of every file below some folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()


def full_entry(number: int, *, updated_ms: int) -> dict[str, Any]:
    """Return an entry with credentials in fields that sound safe, in unknown ones, and deep inside."""
    values = list(CREDENTIALS.values())
    turned = values[number % 8 :] + values[: number % 8]
    safe = ("label", "displayName", "model", "modelProvider", "channel", "lastTo", "subject", "cliSessionIds")
    return {
        "sessionId": f"session-{number}",
        "updatedAt": updated_ms + number,
        **dict(zip(safe, turned, strict=True)),
        "origin": {"label": turned[0], "from": turned[1], "provider": turned[2]},
        "env": {name.replace(" ", "_"): value for name, value in CREDENTIALS.items()},
        "unknownField": {"deep": [{"deeper": turned}, turned[3]]},
        "skillsSnapshot": {"prompt": " ".join(turned), "resolvedSkills": [{"name": turned[4]}]},
    }


def bad_members() -> dict[str, str]:
    """Return members as they should not be written, each with credentials in or beside what is wrong: key -> JSON text."""
    key, token, slack, aws, pem, jwt, url, bearer = (json.dumps(value) for value in CREDENTIALS.values())
    return {
        "agent:main:bad:bare": key,
        "agent:main:bad:list": f"[{token}, {slack}]",
        "agent:main:bad:twice": f'{{"apiKey": {aws}, "apiKey": {pem}}}',
        "agent:main:bad:integer": f'{{"token": {jwt}, "account": {ACCOUNT}, "url": {url}}}',
        "agent:main:bad:float": f'{{"account": {ACCOUNT}e999, "token": {bearer}}}',
        "agent:main:bad:nan": f'{{"token": {key}, "n": NaN}}',
        "agent:main:bad:half": f'{{"token": {token[:-1]} \\ud800"}}',
        "agent:main:bad:comma": f'{{"token": {slack},}}',
        "agent:main:bad:escape": f'{{"token": {aws[:-1]} \\x41"}}',
        "agent:main:bad:garbage": f'{{"token": {key} {token}}}',
        "agent:main:bad:unquoted": f'{{"token": {CREDENTIALS["bearer token"]}}}',
        "agent:main:bad:deep": "[" * 300 + jwt + "]" * 300,
        "__proto__": f'{{"token": {bearer}}}',
    }


def written_store(path: Path, entries: dict[str, Any], bad: dict[str, str]) -> Path:
    """Write a `sessions.json` as OpenClaw indents it, with members that are no JSON among the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = [f"  {json.dumps(key)}: " + json.dumps(entry, indent=2).replace("\n", "\n  ") for key, entry in entries.items()]
    path.write_text("{\n" + ",\n".join([*sound[:2], *(f"  {json.dumps(key)}: {text}" for key, text in bad.items()), *sound[2:]]) + "\n}")
    return path


def transcript_lines() -> list[str]:
    """Return the lines of a transcript whose messages are full of credentials, three of which cannot be read."""
    values = list(CREDENTIALS.values())
    header = {"type": "session", "version": 3, "id": "session-0", "timestamp": "2026-11-01T00:00:00.000Z"}
    events = [
        {"type": "message", "id": f"e{number}", "timestamp": "2026-11-02T12:00:00.500Z", "message": {"role": "user", "content": value}}
        for number, value in enumerate(values)
    ]
    broken = [f'{{"type": "message", "token": {json.dumps(values[0])}', values[1], f'{{"n": {ACCOUNT}e999, "x": NaN, "t": "{values[2]}"']
    return [json.dumps(header), *map(json.dumps, events), *(text.replace("\n", " ") for text in broken)]
