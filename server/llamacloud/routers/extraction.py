"""To be filled: extraction."""

from fastapi import APIRouter

router = APIRouter(tags=["extraction"])
