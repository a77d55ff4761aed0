"""The jobs of routes."""

from typing import Final

from sqlalchemy.orm import Session

from luckygas.clients.google import MOST_STOPS
from luckygas.deliveries import service
from luckygas.jobs.queue import job
from luckygas.resources import Resources

ON_ITS_WAY: Final = "您訂的瓦斯已經出車，今天送到。請準備空瓶，謝謝。"


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


@job("deliveries.announce")
def announce(session: Session, held: Resources, *, route_id: int, order_id: int) -> None:
    """Tell a customer by text that the order is on its way, as long as it is; without a sender nobody is told."""
    mobile = service.mobile_of_order_out(session, order_id=order_id)
    if held.clients.sms.is_configured and mobile is not None:
        held.clients.sms.text(to=mobile, text=ON_ITS_WAY, reference=f"out-{route_id}-{order_id}")
