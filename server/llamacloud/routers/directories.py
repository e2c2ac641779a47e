"""To be filled: directories."""

from fastapi import APIRouter

router = APIRouter(tags=["directories"])
