"""Saved parameters of products, to be named by id where work is started."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import aliased

from rag.errors import InvalidInputError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.configurations import (
    PRODUCT_TYPES,
    ConfigurationCreate,
    ConfigurationPage,
    ConfigurationUpdate,
    ConfigurationView,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.product_checks import check_product
from server.llamacloud.times import stamp
from server.problems import sentence
from state.cloud.ids import new_id
from state.cloud.objects import CloudObject, Wanted
from state.cloud.tables import CloudObjectRow

KIND = "configuration"
Model = TypeVar("Model", bound=BaseModel)


def read_saved(model: type[Model], saved: Mapping[str, Any], configuration_id: str) -> Model:
    """The parameters of a saved configuration as a product takes them; raises InvalidInputError."""
    try:
        return model.model_validate(saved)
    except ValidationError as error:
        raise InvalidInputError(f"configuration {configuration_id!r}: {sentence(error, saved)}") from error


class Configurations:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._objects = cloud.objects
        self._projects = cloud.projects

    def parameters(self, config_id: str, product_type: str, visible: str | None) -> dict[str, Any]:
        """What to run a product with; `product_type` is left out of it.

        Raises:
            InvalidInputError: there is no such configuration, or it is for another product.
        """
        try:
            found = self._objects.get(KIND, config_id, visible)
        except NotFoundError as error:
            raise InvalidInputError(f"configuration {config_id[:100]!r} does not exist") from error
        parameters = dict(found.body["parameters"])
        kind = parameters.pop("product_type")
        if kind != product_type:
            raise InvalidInputError(f"configuration {config_id!r} is for {kind}; one for {product_type} is needed")
        return parameters

    def create(self, scope: Scope, wanted: ConfigurationCreate) -> ConfigurationView:
        """Raises InvalidInputError for parameters that their product could not be run with."""
        check_product(self._cloud, wanted.parameters, scope.project_id)
        self._projects.ensure(scope.project_id)
        body = {"parameters": wanted.parameters, "version": _version(self._objects.now())}
        return _view(self._objects.insert(KIND, new_id(KIND), project_id=scope.project_id, name=wanted.name, body=body))

    def get(self, config_id: str, scope: Scope) -> ConfigurationView:
        return _view(self._objects.get(KIND, config_id, scope.visible))

    def page(
        self,
        scope: Scope,
        *,
        name: str | None,
        product_types: Sequence[str],
        latest_only: bool,
        token: str | None,
        size: int | None,
    ) -> ConfigurationPage:
        """Raises InvalidInputError for a product that there is not."""
        row, where = CloudObjectRow, list[ColumnElement[bool]]()
        unknown = [each for each in product_types if each not in (*PRODUCT_TYPES, "unknown")]
        if unknown:
            raise InvalidInputError(f"product_type = {unknown[0][:100]!r}: expected one of {', '.join(PRODUCT_TYPES)}")
        if product_types:
            where.append(row.body["parameters"]["product_type"].as_string().in_(product_types))
        if latest_only:
            where.append(_is_latest())
        query = {"product_types": sorted(product_types), "latest_only": latest_only}
        wanted = Wanted(project_id=scope.project_id, name=name, where=tuple(where), query=query)
        page = self._objects.page(KIND, wanted, token, size)
        return ConfigurationPage(
            items=[_view(each) for each in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size or 0,
        )

    def update(self, config_id: str, scope: Scope, wanted: ConfigurationUpdate) -> ConfigurationView:
        """Raises as `create`."""
        if wanted.parameters is not None:
            found = self._objects.get(KIND, config_id, scope.visible)
            check_product(self._cloud, wanted.parameters, found.project_id)
        version = _version(self._objects.now())

        def change(found: CloudObject) -> dict[str, Any]:
            new = {} if wanted.parameters is None else {"parameters": wanted.parameters, "version": version}
            return {"name": wanted.name or found.name, "body": {**found.body, **new}}

        return _view(self._objects.change(KIND, config_id, change, scope.visible))

    def delete(self, config_id: str, scope: Scope) -> None:
        """Jobs that were started with it keep their own copy."""
        self._objects.delete(KIND, self._objects.get(KIND, config_id, scope.visible).id)


def _is_latest() -> ColumnElement[bool]:
    """No younger one of the project has the same name."""
    row, other = CloudObjectRow, aliased(CloudObjectRow)
    is_younger = or_(other.created_at > row.created_at, and_(other.created_at == row.created_at, other.id > row.id))
    same = (other.kind == KIND, other.project_id == row.project_id, other.name == row.name)
    return ~select(other.id).where(*same, is_younger).correlate(row).exists()


def _view(found: CloudObject) -> ConfigurationView:
    parameters = found.body["parameters"]
    return ConfigurationView(
        id=found.id,
        name=found.name or "",
        project_id=found.project_id,
        parameters=parameters,
        product_type=parameters["product_type"],
        version=found.body["version"],
        created_at=stamp(found.created_at),
        updated_at=stamp(found.updated_at),
    )


def _version(seconds: float) -> str:
    return stamp(seconds).isoformat()
