"""To be filled: pipeline documents."""

from fastapi import APIRouter

router = APIRouter(tags=["pipeline documents"])
