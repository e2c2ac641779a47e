"""To be filled: batch processing."""

from fastapi import APIRouter

router = APIRouter(tags=["batch processing"])
