"""To be filled: parse."""

from fastapi import APIRouter

router = APIRouter(tags=["parse"])
