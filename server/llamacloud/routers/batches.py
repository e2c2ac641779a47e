"""To be filled: batches."""

from fastapi import APIRouter

router = APIRouter(tags=["batches"])
