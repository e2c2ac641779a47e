"""The file's own name in parts, and the paths that its text mentions."""

import posixpath
import re
from pathlib import PurePosixPath, PureWindowsPath

from pydantic import Field

from rag.extractors.named_patterns import find_named
from rag.registry import ComponentOptions
from rag.types import Document, Scalar

_BUCKET_PATH = re.compile(r"(?<!\w)s3://[a-z0-9][a-z0-9.-]{1,62}(?:/[\w.@+=%-]{1,200}){0,30}(?<![.])")


class PathExtractor:
    """Paths are read as text; nothing on the host's disk is looked at."""

    class Options(ComponentOptions):
        extract_file_paths: bool = True
        extract_urls: bool = True
        extract_s3_paths: bool = True
        normalize_paths: bool = Field(True, description="Resolves `.` and `..` and doubled slashes.")
        store_full_path: bool = True
        store_filename: bool = True
        store_directory: bool = True
        store_extension: bool = True
        relative_to: str | None = Field(None, description="Folder that is taken off the file's own path.")

    def __init__(self, options: Options) -> None:
        self._options = options

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        options = self._options
        mentioned = {
            "mentioned_paths": [self._normal(path) for path in find_named("file_path", text)],
            "mentioned_urls": find_named("url", text) if options.extract_urls else [],
            "s3_paths": list(dict.fromkeys(_BUCKET_PATH.findall(text))) if options.extract_s3_paths else [],
        }
        if not options.extract_file_paths:
            mentioned["mentioned_paths"] = []
        result: dict[str, Scalar | list[str]] = {**self._own_path(document)}
        return result | {key: list(dict.fromkeys(found)) for key, found in mentioned.items() if found}

    def _own_path(self, document: Document) -> dict[str, Scalar]:
        own = next((str(document.metadata[key]) for key in ("file_path", "filename") if key in document.metadata), "")
        if not own:
            return {}
        options, path = self._options, PurePosixPath(self._normal(own))
        if options.relative_to and path.is_relative_to(options.relative_to):
            path = path.relative_to(options.relative_to)
        parts = {
            "file_path": str(path) if options.store_full_path else "",
            "file_name": path.name if options.store_filename else "",
            "directory": str(path.parent) if options.store_directory else "",
            "file_extension": path.suffix if options.store_extension else "",
        }
        return {key: part for key, part in parts.items() if part}

    def _normal(self, path: str) -> str:
        if not self._options.normalize_paths:
            return path
        return str(PureWindowsPath(path)) if "\\" in path else posixpath.normpath(path)
