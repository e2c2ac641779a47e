"""To be filled: files."""

from fastapi import APIRouter

router = APIRouter(tags=["files"])
