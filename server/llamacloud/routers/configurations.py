"""To be filled: configurations."""

from fastapi import APIRouter

router = APIRouter(tags=["configurations"])
