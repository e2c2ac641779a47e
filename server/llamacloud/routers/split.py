"""To be filled: split."""

from fastapi import APIRouter

router = APIRouter(tags=["split"])
