"""To be filled: signed."""

from fastapi import APIRouter

router = APIRouter(tags=["signed"])
