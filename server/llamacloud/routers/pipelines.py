"""To be filled: pipelines."""

from fastapi import APIRouter

router = APIRouter(tags=["pipelines"])
