"""To be filled: classify."""

from fastapi import APIRouter

router = APIRouter(tags=["classify"])
