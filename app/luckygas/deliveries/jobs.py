"""The jobs of routes."""

from sqlalchemy.orm import Session

from luckygas.clients.google import MOST_STOPS
from luckygas.deliveries import service
from luckygas.jobs.queue import job
from luckygas.resources import Resources


@job("deliveries.sequence")
def sequence(session: Session, held: Resources, *, route_id: int) -> None:
    """Ask the route planner for the best sequence; while it is away the plain one holds, and this is tried again."""
    addresses = service.open_addresses(session, route_id=route_id)
    depot = held.settings.depot_address
    if not (held.clients.google.is_configured and depot) or not 1 < len(addresses) <= MOST_STOPS:
        return
    order_ids = list(addresses)
    found = held.clients.google.sequence(depot=depot, stops=list(addresses.values()))
    service.resequence(session, route_id=route_id, order_ids=[order_ids[index] for index in found])
