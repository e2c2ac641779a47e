"""The models on this machine: those in Hugging Face's cache, and the one that is bundled."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.embedders.weights import DEFAULT_MODEL, locate
from rag.errors import BadRequestError, InvalidInputError, NotFoundError, UpstreamError
from rag.model_hub import DownloadPlan, HubFile

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo, HFCacheInfo

_BUNDLED_REVISION = "bundled"


@dataclass(frozen=True, slots=True)
class CachedModel:
    """Args:
    model_id: `organisation/name`.
    modified_at_s: seconds since the epoch.
    revisions: names such as `main`; a revision without one by its commit.
    path: of the whole model, every revision included.
    snapshot: the files of the latest revision.
    """

    model_id: str
    size_bytes: int
    modified_at_s: float
    revisions: tuple[str, ...]
    path: Path
    snapshot: Path
    is_bundled: bool = False

    @property
    def is_embedder(self) -> bool:
        """Whether it says how its tokens become one vector, in the format of sentence-transformers."""
        return (self.snapshot / "modules.json").is_file() and any(self.snapshot.glob("**/*.safetensors"))


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion freed."""

    model_id: str
    revision_count: int
    size_bytes: int
    path: Path


class ModelCache:
    """Hugging Face's cache in `folder`, by the scan of `huggingface_hub` itself: no path is made from a name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def models(self) -> list[CachedModel]:
        """By name, the bundled one first."""
        found = [_described(repo) for repo in self._repos()]
        return [*_bundled(), *sorted(found, key=lambda model: model.model_id.lower())]

    def find(self, model_id: str) -> CachedModel:
        """Raises NotFoundError; the model's name is compared in full, capitals included."""
        for model in self.models():
            if model.model_id == model_id:
                return model
        raise NotFoundError(
            f"Model '{model_id}' is not in the cache; GET /v1/models lists what is", code="ModelNotFound"
        )

    def bundled(self, model_id: str) -> CachedModel | None:
        return next((model for model in _bundled() if model.model_id == model_id), None)

    def missing_bytes(self, plan: DownloadPlan) -> int:
        """What a download would add."""
        from huggingface_hub import try_to_load_from_cache

        def is_cached(file: HubFile) -> bool:
            return isinstance(try_to_load_from_cache(plan.model_id, file.name, cache_dir=self.folder), str)

        return sum(file.size_bytes for file in plan.files if not is_cached(file))

    def delete(self, model_id: str) -> Deletion:
        """Remove every revision of a model.

        Raises:
            NotFoundError: it is not there.
            BadRequestError: it came with this program.
            UpstreamError: its folder cannot be written to.
        """
        scan = self._scan()
        repos = [repo for repo in self._repos(scan) if repo.repo_id == model_id]
        if scan is None or not repos:
            self.find(model_id)  # raises for all but the bundled one
            raise BadRequestError(f"Model '{model_id}' is bundled with this program and cannot be deleted")
        commits = [revision.commit_hash for repo in repos for revision in repo.revisions]
        strategy = scan.delete_revisions(*commits)
        deletion = Deletion(model_id, len(commits), strategy.expected_freed_size, repos[0].repo_path)
        strategy.execute()
        if deletion.path.exists():  # failures are only logged there
            raise UpstreamError(f"Model '{model_id}' could not be deleted: this process may not write to its folder")
        return deletion

    def _repos(self, scan: "HFCacheInfo | None" = None) -> "list[CachedRepoInfo]":
        scan = scan or self._scan()
        repos = scan.repos if scan else ()
        return [repo for repo in repos if repo.repo_type == "model" and repo.revisions]

    def _scan(self) -> "HFCacheInfo | None":
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound

        try:
            return scan_cache_dir(self.folder)
        except CacheNotFound:
            return None
        except (OSError, ValueError) as error:
            raise UpstreamError(f"the model cache cannot be read ({type(error).__name__}); see HF_HOME") from error


def _described(repo: "CachedRepoInfo") -> CachedModel:
    latest = max(repo.revisions, key=lambda revision: revision.last_modified)
    names = sorted({name for revision in repo.revisions for name in revision.refs or {revision.commit_hash}})
    return CachedModel(
        model_id=repo.repo_id,
        size_bytes=repo.size_on_disk,
        modified_at_s=repo.last_modified,
        revisions=tuple(names),
        path=repo.repo_path,
        snapshot=latest.snapshot_path,
    )


def _bundled() -> Iterator[CachedModel]:
    try:
        folder = locate(DEFAULT_MODEL).folder
    except InvalidInputError:  # this installation came without it
        return
    states = [path.stat() for path in folder.rglob("*") if path.is_file()]
    yield CachedModel(
        model_id=DEFAULT_MODEL,
        size_bytes=sum(state.st_size for state in states),
        modified_at_s=max(state.st_mtime for state in states),
        revisions=(_BUNDLED_REVISION,),
        path=folder,
        snapshot=folder,
        is_bundled=True,
    )
