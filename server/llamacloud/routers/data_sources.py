"""To be filled: data sources."""

from fastapi import APIRouter

router = APIRouter(tags=["data sources"])
