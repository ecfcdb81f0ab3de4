"""The configuration's prices as the cost ledger takes them: this machine's and the references'."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from hexkey.cost.counterfactual import PriceList, SelfHosted
from hexkey.cost.price import Owned, Rented

if TYPE_CHECKING:
    from hexkey.config import CostConfig, ReferenceConfig
    from hexkey.cost.counterfactual import Reference


def price(config: CostConfig) -> Rented | Owned:
    """Return what the machine costs."""
    owned = config.owned
    if owned is None:
        return Rented(Decimal(config.price_per_hour))
    return Owned(
        capex=Decimal(owned.capex),
        months=owned.months,
        residual=Decimal(owned.residual),
        opex_per_hour=Decimal(owned.opex_per_hour),
        watts=Decimal(config.watts),
        pue=Decimal(owned.pue),
        price_per_kwh=Decimal(owned.price_per_kwh),
    )


def reference(config: ReferenceConfig) -> Reference:
    """Return what would have done the work instead; which kind it is follows from its prices."""
    if config.price_per_hour is not None:
        return SelfHosted(
            config.name,
            Decimal(config.price_per_hour),
            Decimal(config.input_per_second or 0),
            Decimal(config.output_per_second or 0),
        )
    cached = config.cached_per_million
    return PriceList(
        config.name,
        config.as_of,
        Decimal(config.input_per_million or 0),
        Decimal(config.output_per_million or 0),
        None if cached is None else Decimal(cached),
    )
