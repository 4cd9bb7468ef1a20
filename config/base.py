"""What every section of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _no_boolean(value: object) -> object:
    """YAML reads yes, no, on and off as booleans, and pydantic would read those as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number; YAML reads yes, no, on and off as {value}")
    return value


Int = Annotated[int, BeforeValidator(_no_boolean)]
Float = Annotated[float, BeforeValidator(_no_boolean)]


class Model(BaseModel):
    """Base of every section: frozen, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
