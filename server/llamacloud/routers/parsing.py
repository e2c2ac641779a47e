"""To be filled: parsing."""

from fastapi import APIRouter

router = APIRouter(tags=["parsing"])
