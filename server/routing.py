"""Routers that know at a glance whether a path can be theirs."""

import re

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

_GROUP_NAME = re.compile(r"\?P<\w+>")


class Router(APIRouter):
    """An APIRouter that asks its routes only about paths that one of them has.

    FastAPI looks at the routes of all routers one after the other: with two hundred of them, a sixth of the time of a
    short request. It has plain routes only, and is included without a prefix: its own says where it stands.
    """

    _paths: re.Pattern[str] | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if self._paths is None:
            self._paths = self._shape()
        path: str = scope["path"]
        if self._paths.match(path.removeprefix(scope.get("root_path", ""))) is None:
            return Match.NONE, {}
        return super().matches(scope)

    def _shape(self) -> re.Pattern[str]:
        """What all its paths look like, in one expression."""
        patterns = [route.path_regex.pattern for route in self.routes if isinstance(route, APIRoute)]
        assert len(patterns) == len(self.routes), "every route of a Router is a plain one"
        return re.compile("|".join(dict.fromkeys(_GROUP_NAME.sub("?:", each) for each in patterns)))
