"""Links that work without a key, for a while: what they allow stands in them, under an HMAC."""

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from config.settings import Settings
from rag.errors import InvalidInputError
from state.cloud.blobs import write_whole

DEFAULT_SECONDS = 3600
MAX_SECONDS = 7 * 86_400
SECRET_FILE = "signing.key"  # noqa: S105  # the name of the file that holds it
SIGNATURE_BYTES = 32
MAX_TOKEN_CHARS = 4_000


class Signer:
    """Every process of one data directory signs with the same secret, which never leaves it."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    @classmethod
    def of(cls, settings: Settings) -> "Signer":
        return cls(_secret(settings.data_dir / "state" / SECRET_FILE))

    def sign(self, claim: Mapping[str, Any], seconds: int | None = None) -> tuple[str, datetime]:
        """A token for `claim`, and until when it is good.

        Raises:
            InvalidInputError: `seconds` is not 1 to seven days.
        """
        lasting = DEFAULT_SECONDS if seconds is None else seconds
        if not 1 <= lasting <= MAX_SECONDS:
            raise InvalidInputError(f"expires_at_seconds = {seconds}: expected 1 to {MAX_SECONDS}")
        until = int(self._clock()) + lasting
        body = orjson.dumps({**claim, "until": until}, option=orjson.OPT_SORT_KEYS)
        return _encode(self._mac(body) + body), datetime.fromtimestamp(until, UTC)

    def read(self, token: str) -> dict[str, Any] | None:
        """The claim of a token that is genuine and still good; None for every other."""
        try:
            data = base64.b64decode(token[:MAX_TOKEN_CHARS] + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        mac, body = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            return None
        claim: dict[str, Any] = orjson.loads(body)
        return claim if claim["until"] > self._clock() else None

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._secret, body, hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _secret(path: Path) -> bytes:
    """Made by whoever comes first; of several at once, one wins and all read what it wrote."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            write_whole(path, lambda each: _write(each, draft.read_bytes()))
        finally:
            draft.unlink(missing_ok=True)
    return path.read_bytes()
