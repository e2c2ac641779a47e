"""To be filled: retrieval."""

from fastapi import APIRouter

router = APIRouter(tags=["retrieval"])
