"""To be filled: extract."""

from fastapi import APIRouter

router = APIRouter(tags=["extract"])
