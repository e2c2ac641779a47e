"""What the services of the LlamaCloud API stand on: those of the engine, and what state/cloud keeps."""

from dataclasses import dataclass, field

from anyio import CapacityLimiter

from config.settings import Settings
from server.llamacloud.signing import Signer
from server.parts import Engine, Services
from server.services.rag import Searcher
from state.cloud.blobs import CloudFiles
from state.cloud.jobs import CloudJob, CloudJobs, NewJob
from state.cloud.objects import CloudObjects
from state.cloud.projects import CloudProjects

PATTERN_THREADS = 4
"""Of one process that look for patterns in texts at once: they take no thread from searching."""


@dataclass(frozen=True, slots=True)
class CloudEngine:
    """One per API process; services are made of it for each request, and keep nothing."""

    engine: Engine
    searcher: Searcher
    objects: CloudObjects
    jobs: CloudJobs
    projects: CloudProjects
    signer: Signer
    pattern_slots: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PATTERN_THREADS))

    @classmethod
    def of(cls, services: Services) -> "CloudEngine":
        engine = services.engine
        return cls(
            engine=engine,
            searcher=services.searcher,
            objects=CloudObjects(engine.database),
            jobs=CloudJobs(engine.database, lease_s=engine.settings.lease_s),
            projects=CloudProjects(engine.projects),
            signer=Signer.of(engine.settings),
        )

    @property
    def settings(self) -> Settings:
        return self.engine.settings

    def files(self, project_id: str) -> CloudFiles:
        return CloudFiles.of(self.settings, project_id)

    def start(self, job: NewJob, items: list[NewJob] | None = None) -> CloudJob:
        """Keep a job, with what it gathers, and wake the workers.

        Raises:
            UpstreamError: the broker does not answer; no job was made.
        """
        self.engine.dispatcher.check_broker()
        self.projects.ensure(job.project_id)
        made = self.jobs.create(job, items or ())
        self.engine.dispatcher.announce_jobs([each.stage for each in (job, *(items or ())) if each.state == "waiting"])
        return made
