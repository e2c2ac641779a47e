"""To be filled: sheets."""

from fastapi import APIRouter

router = APIRouter(tags=["sheets"])
