"""To be filled: projects."""

from fastapi import APIRouter

router = APIRouter(tags=["projects"])
