"""How a task reaches what its process holds."""

from celery import Task

from workers.runtime import Runtime, RuntimeHolder


def runtime_of(task: Task) -> Runtime:
    holder: RuntimeHolder = task.app.paddock
    return holder.get()
