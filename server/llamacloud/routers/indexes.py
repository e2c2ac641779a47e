"""To be filled: indexes."""

from fastapi import APIRouter

router = APIRouter(tags=["indexes"])
