"""The routes of customers."""

from collections.abc import Collection

from flask import url_for

from luckygas.access import Permission
from luckygas.customers import service
from luckygas.customers.models import Customer, Deposit
from luckygas.customers.schemas import (
    CustomerIn,
    CustomerOut,
    CustomerPage,
    CustomerQuery,
    DepositIn,
    DepositOut,
    DepositPage,
)
from luckygas.db.session import current_session
from luckygas.errors import WrongState
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.limits import SEARCH, Price
from luckygas.web.pagination import PageQuery, page_of
from luckygas.web.versions import versioned

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


@blueprint.put("/<id:customer_id>", auth=Permission.CUSTOMERS_WRITE)
@blueprint.input(CustomerIn, arg_name="customer")
@versioned
@blueprint.output(CustomerOut)
def change(customer_id: int, customer: CustomerIn, seen: Collection[int]) -> Customer:
    """Change a customer to what is given; refused if somebody else was faster."""
    return service.change(current_session(), customer_id=customer_id, customer=customer, seen=seen)


@blueprint.get("", auth=Permission.CUSTOMERS_READ, standby=True, price=Price(2, own=SEARCH))
@blueprint.input(CustomerQuery, location="query", arg_name="query")
@blueprint.output(CustomerPage)
def find(query: CustomerQuery) -> dict:
    """List customers, newest first; those of one number, of the end of a number or of a part of an address."""
    return page_of(
        query,
        lambda before_id, count: service.find(current_session(), query=query, before_id=before_id, count=count),
    )


@blueprint.post("/<id:customer_id>/deposits", auth=Permission.CUSTOMERS_WRITE, problems=[WrongState])
@blueprint.input(DepositIn, arg_name="deposit")
@idempotent
@blueprint.output(DepositOut, status_code=201)
def move_deposit(customer_id: int, deposit: DepositIn) -> tuple[Deposit, int]:
    """Take in a deposit for cylinders on loan, or give it back."""
    by, today = current_principal().id, resources().today()
    return service.move_deposit(current_session(), customer_id=customer_id, deposit=deposit, by=by, today=today), 201


@blueprint.get("/<id:customer_id>/deposits", auth=Permission.CUSTOMERS_READ)
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(DepositPage)
def deposits(customer_id: int, query: PageQuery) -> dict:
    """List the changes of a customer's deposit, newest first, and what is held now."""
    session = current_session()
    service.get(session, customer_id=customer_id)
    page = page_of(
        query,
        lambda before_id, count: service.find_deposits(
            session, customer_id=customer_id, before_id=before_id, count=count
        ),
    )
    return page | {"held_twd": service.held_deposit(session, customer_id=customer_id)}
