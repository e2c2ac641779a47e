"""The Celery application, built from settings."""

from celery import Celery

from config.settings import Settings

QUEUES = ("parse", "embed", "default")
TIDY_INTERVAL_S = 3600.0
VISIBILITY_SLACK_S = 600.0
"""A message counts as lost this long after the hard time limit of its task; never while the task may still run."""


def create_celery(settings: Settings) -> Celery:
    """An app that can send and consume; tasks are registered by importing `workers.tasks`."""
    broker_url = settings.broker_url or settings.redis_url
    app = Celery("paddock", broker=broker_url, set_as_current=True, task_cls="workers.requests:PaddockTask")
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        task_default_queue="default",
        task_routes={f"paddock.{name}": {"queue": name} for name in ("parse", "embed")},
        task_time_limit=settings.parse_timeout_s + 30,
        task_soft_time_limit=settings.parse_timeout_s,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=500,
        worker_max_memory_per_child=settings.parse_memory_mb * 1024,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=0.0,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": settings.parse_timeout_s + 30 + VISIBILITY_SLACK_S,
            "socket_connect_timeout": 2.0,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        beat_schedule={
            "sweep": {"task": "paddock.sweep", "schedule": settings.sweep_interval_s},
            "tidy": {"task": "paddock.tidy", "schedule": TIDY_INTERVAL_S},
        },
        beat_max_loop_interval=settings.sweep_interval_s,
    )
    return app
