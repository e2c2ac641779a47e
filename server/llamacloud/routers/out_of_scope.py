"""To be filled: out of scope."""

from fastapi import APIRouter

router = APIRouter(tags=["out of scope"])
