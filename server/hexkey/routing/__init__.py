"""Which model serves a request, and why: a pure decision over what is configured and measured.

Nothing here looks at a clock, writes a log or touches a model. What is measured comes in as
``Live`` values; what comes out is a ``Plan``: routes in the order in which they are to be tried,
each of one leg or, through a third language, of two, and a verdict on every model.
"""

from hexkey.routing.candidates import ANY, Candidate, Pair, parse_pair
from hexkey.routing.coverage import languages, pairs, pivots, sources
from hexkey.routing.languages import AUTO, language, normal
from hexkey.routing.live import Estimate, Live, units_taken
from hexkey.routing.plan import Detected, Leg, Plan, Reason, Route, Verdict
from hexkey.routing.policies import Policy, PolicyName
from hexkey.routing.remarks import remarks
from hexkey.routing.router import Rules, decide, route, shorten

__all__ = [
    "ANY",
    "AUTO",
    "Candidate",
    "Detected",
    "Estimate",
    "Leg",
    "Live",
    "Pair",
    "Plan",
    "Policy",
    "PolicyName",
    "Reason",
    "Route",
    "Rules",
    "Verdict",
    "decide",
    "language",
    "languages",
    "normal",
    "pairs",
    "parse_pair",
    "pivots",
    "remarks",
    "route",
    "shorten",
    "sources",
    "units_taken",
]
