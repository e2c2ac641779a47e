"""What is running: for people, for the command line, for container platforms."""

from importlib.metadata import version

from server.deps import HealthServiceDep, SettingsDep
from server.routing import Router
from server.schemas.health import Health, Info, Liveness

router = Router(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health", operation_id="health", response_model_exclude_none=True)
async def check_health(health: HealthServiceDep) -> Health:
    """Whether this server and what it stands on are up, part by part."""
    return await health.check()


@router.head("/health/liveness", include_in_schema=False)
@router.get("/health/liveness", operation_id="liveness")
async def check_liveness() -> Liveness:
    """Whether the process answers at all, for container platforms."""
    return Liveness()


@router.get("/info", operation_id="info")
async def get_info(settings: SettingsDep) -> Info:
    """The version of this server, and where its data lives."""
    return Info(version=version("paddock"), data_directory=str(settings.data_dir))
