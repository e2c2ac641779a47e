"""Puts the LlamaCloud API into the app."""

from fastapi import APIRouter

from server.llamacloud.routers import (
    agent_data,
    batch_processing,
    batches,
    chat,
    classify,
    configurations,
    data_sources,
    directories,
    extract,
    extraction,
    files,
    indexes,
    out_of_scope,
    parse,
    parsing,
    pipeline_documents,
    pipelines,
    projects,
    retrieval,
    sheets,
    signed,
    split,
)
from server.schemas.errors import CONFLICT_RESPONSES, ERROR_RESPONSES

ROUTERS: tuple[APIRouter, ...] = (
    projects.router,
    files.router,
    signed.router,
    configurations.router,
    directories.router,
    pipelines.router,
    pipeline_documents.router,
    data_sources.router,
    indexes.router,
    retrieval.router,
    chat.router,
    extraction.router,
    extract.router,
    sheets.router,
    parse.router,
    parsing.router,
    batch_processing.router,
    batches.router,
    classify.router,
    split.router,
    agent_data.router,
    out_of_scope.router,
)
"""Each has whole paths below /api; the last one answers 501 for what is known and not built."""


def include_in(whole: APIRouter) -> None:
    for router in ROUTERS:
        whole.include_router(router, responses=ERROR_RESPONSES | CONFLICT_RESPONSES)
