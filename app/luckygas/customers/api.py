"""The routes of customers."""

from flask import url_for

from luckygas.access import Permission
from luckygas.customers import service
from luckygas.customers.models import Customer
from luckygas.customers.schemas import CustomerIn, CustomerOut, CustomerPage, CustomerQuery
from luckygas.db.session import current_session
from luckygas.web.addresses import API
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import page_of

blueprint = Blueprint("customers", __name__, url_prefix=f"{API}/customers", tag="Customers")


@blueprint.post("", auth=Permission.CUSTOMERS_WRITE)
@blueprint.input(CustomerIn, arg_name="customer")
@idempotent
@blueprint.output(CustomerOut, status_code=201)
def create(customer: CustomerIn) -> tuple[Customer, int, dict[str, str]]:
    """Create a customer."""
    row = service.create(current_session(), customer=customer)
    return row, 201, {"Location": url_for(".read", customer_id=row.id)}


@blueprint.get("/<id:customer_id>", auth=Permission.CUSTOMERS_READ)
@blueprint.output(CustomerOut)
def read(customer_id: int) -> Customer:
    """Read one customer."""
    return service.get(current_session(), customer_id=customer_id)


@blueprint.get("", auth=Permission.CUSTOMERS_READ, standby=True)
@blueprint.input(CustomerQuery, location="query", arg_name="query")
@blueprint.output(CustomerPage)
def find(query: CustomerQuery) -> dict:
    """List customers, newest first."""
    return page_of(
        query,
        lambda before_id, count: service.find(current_session(), mobile=query.mobile, before_id=before_id, count=count),
    )
