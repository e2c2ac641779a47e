"""To be filled: chat."""

from fastapi import APIRouter

router = APIRouter(tags=["chat"])
