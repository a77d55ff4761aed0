"""Google Routes: in which sequence a truck visits its stops."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, Field

from luckygas.clients.http import Away, Partner

# What may lie between the first stop and the last in one request.
MOST_STOPS: Final = 25
# Without the mask it answers with nothing, and all that is in it is paid for.
_MASK: Final = "routes.optimizedIntermediateWaypointIndex,routes.distanceMeters"


class _Route(BaseModel):
    optimized: Annotated[list[int], Field(alias="optimizedIntermediateWaypointIndex")]


class _Answer(BaseModel):
    routes: Annotated[list[_Route], Field(min_length=1)]


class GoogleRoutes(Partner):
    """Who knows the way."""

    def sequence(self, *, depot: str, stops: Sequence[str]) -> list[int]:
        """Return the indexes of these addresses in the sequence of the shortest tour from the depot and back."""
        place = {"address": depot}
        answer: _Answer = self.send(
            "POST",
            "/directions/v2:computeRoutes",
            read=_Answer.model_validate_json,
            repeat=True,
            headers={"X-Goog-Api-Key": self.account.secret, "X-Goog-FieldMask": _MASK},
            json={
                "origin": place,
                "destination": place,
                "intermediates": [{"address": stop} for stop in stops],
                "travelMode": "DRIVE",
                "optimizeWaypointOrder": True,
                "regionCode": "tw",
            },
        )
        found = answer.routes[0].optimized
        if sorted(found) != list(range(len(stops))):
            raise Away("google sent a sequence that does not visit every stop once")
        return found
