"""The configuration's prices as the cost ledger takes them: this machine's and the references'."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from hexkey.config.costs import HOSTED, LISTED
from hexkey.cost.counterfactual import hosted, listed
from hexkey.cost.price import Owned, Rented

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        watts=sum((Decimal(one.watts) for one in config.devices), Decimal(config.watts)),
        pue=Decimal(owned.pue),
        price_per_kwh=Decimal(owned.price_per_kwh),
    )


def reference(config: ReferenceConfig) -> Reference:
    """Return what would have done the work instead; which kind it is follows from its prices."""
    if config.price_per_hour is None:
        return listed(config.name, **_given(config, LISTED))
    return hosted(config.name, Decimal(config.price_per_hour), **_given(config, HOSTED))


def _given(config: ReferenceConfig, names: Iterable[str]) -> dict[str, Decimal]:
    texts = {name: getattr(config, name) for name in names}
    return {name: Decimal(text) for name, text in texts.items() if text is not None}
