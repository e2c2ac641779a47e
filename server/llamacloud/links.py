"""Absolute links that carry their own permission: `/api/v1/signed/{token}`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from server.llamacloud.signing import Signer

SIGNED_PATH = "/api/v1/signed/"


class PresignedURL(BaseModel):
    """A link that works with a plain GET, without any header, until it expires."""

    url: str
    expires_at: datetime
    form_fields: dict[str, str] | None = Field(None, description="Always null: nothing has to be sent with it.")


class Links:
    """
    Args:
        origin: as the client reaches this server.
    """

    def __init__(self, signer: Signer, origin: str) -> None:
        self._signer = signer
        self._origin = origin.rstrip("/")

    def presigned(self, claim: Mapping[str, Any], seconds: int | None = None) -> PresignedURL:
        """
        Args:
            claim: what the link opens; `kind` names who serves it, see services/signed.py.
            seconds: how long it works; None: an hour.
        """
        token, until = self._signer.sign(claim, seconds)
        return PresignedURL(url=f"{self._origin}{SIGNED_PATH}{token}", expires_at=until)
