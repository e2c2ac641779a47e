"""To be filled: agent data."""

from fastapi import APIRouter

router = APIRouter(tags=["agent data"])
