"""What a command knows of who called it: which server, which project, where its output goes."""

from functools import cached_property
from pathlib import Path
from typing import Any

from cli.client.api import Api
from cli.client.options import GlobalOptions
from cli.client.output import Output
from cli.client.project_file import ProjectName, find_file, parse_name, read_file
from cli.errors import UsageError


class Caller:
    def __init__(self, options: GlobalOptions, output: Output) -> None:
        self.options = options
        self.out = output

    def api(self) -> Api:
        """A client; to be closed by who asked for it. The key of `.env` goes to the local server only."""
        key = self.options.api_key
        if self.options.server_url is None and key is None:
            settings = self._settings()
            key = settings.api_key.get_secret_value() if settings.api_key else None
        return Api(self.server_url, key, self.options.timeout_s)

    @cached_property
    def server_url(self) -> str:
        if self.options.server_url is not None:
            return self.options.server_url
        from cli.ports import base_url
        from cli.state_file import running_record

        settings = self._settings()
        record = running_record(settings.data_dir)
        return record.url if record is not None else base_url(settings.host, settings.port)

    def namespace(self) -> str:
        """Raises UsageError where neither an option nor a file names one."""
        namespace = self.options.namespace or self._from_file("namespace")
        if not namespace:
            raise UsageError("which namespace? Give --namespace, or call this in a folder with a llamafarm.yaml")
        return namespace

    def project(self, given: str | None = None) -> ProjectName:
        """The project that `given` (namespace/project), the options or the folder's file name.

        Raises:
            UsageError: none does.
        """
        if given is not None:
            return parse_name(given)
        name = self.options.project or self._from_file("name")
        if not name:
            raise UsageError(
                "which project? Give --namespace and --project, or call this in a folder with a llamafarm.yaml "
                "(`lf init` makes one)"
            )
        if "/" in name:
            raise UsageError(f"project name {name!r} holds a '/': give the namespace with --namespace")
        return ProjectName(self.namespace(), name)

    @cached_property
    def _file(self) -> dict[str, Any]:
        path = find_file(Path.cwd())
        return {} if path is None else read_file(path)

    def _from_file(self, key: str) -> str:
        value = self._file.get(key)
        return value if isinstance(value, str) else ""

    def _settings(self) -> Any:
        from cli.environment import load_settings

        return load_settings()
