"""Whatever is done with money, in whatever sequence: each account is what was done, and all together are nothing."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from factories import TODAY, make_customer, make_driver, make_order
from luckygas.billing import service
from luckygas.billing.schemas import HandInIn, Method, PaymentIn
from luckygas.customers import service as customers
from luckygas.customers.schemas import DepositIn
from luckygas.errors import Problem
from luckygas.ledger import service as ledger
from luckygas.ledger.models import Account, Entry, EntryLine

AMOUNTS = st.integers(-4000, 4000)
ACTS = st.tuples(
    st.sampled_from(["deliver", "cash", "transfer", "take_back", "deposit", "hand_in", "reverse", "carry"]),
    AMOUNTS,
    AMOUNTS,
)


class Model:
    """What the books should say, kept the simple way."""

    def __init__(self) -> None:
        self.owed = self.held = self.bank = self.till = self.driver = self.missing = 0
        self.sold: dict[int, int] = {}

    def accounts(self) -> dict[Account, int]:
        return {
            Account.RECEIVABLE: self.owed,
            Account.DEPOSITS: -self.held,
            Account.SALES: -sum(self.sold.values()),
            Account.DRIVER_CASH: self.driver,
            Account.TILL: self.till,
            Account.BANK: self.bank,
            Account.CASH_DIFFERENCE: self.missing,
            Account.UNASSIGNED: 0,
        }


def act(session: Session, model: Model, people: tuple[int, int], wanted: tuple[str, int, int]) -> None:
    """Do one thing; the model follows only what was not refused."""
    customer_id, driver_id = people
    name, one, other = wanted
    match name:
        case "deliver":
            order = make_order(session, customers.get(session, customer_id=customer_id))
            cash, deposit = abs(one), other
            money = service.AtDoor(
                customer_id=customer_id, order_id=order.id, driver_id=driver_id, total_twd=order.total_twd,
                cash_twd=cash, deposit_twd=deposit, by_transfer=one < 0,
            )  # fmt: skip
            service.settle_at_door(session, money=money, by="tests", today=TODAY)
            model.sold[order.id] = order.total_twd
            model.owed += order.total_twd - cash
            model.driver += cash + deposit
            model.held += deposit
        case "cash" | "transfer":
            payment = PaymentIn(customer_id=customer_id, method=Method(name), amount_twd=one)
            service.pay(session, payment=payment, by="tests", today=TODAY)
            model.owed -= one
            model.till += one if name == "cash" else 0
            model.bank += one if name == "transfer" else 0
        case "take_back" if model.sold:
            order_id = list(model.sold)[one % len(model.sold)]
            ledger.take_back(session, order_id=order_id, day=TODAY, by="tests", reason="x")
            model.owed -= model.sold.pop(order_id)
        case "deposit":
            customers.move_deposit(
                session, customer_id=customer_id, deposit=DepositIn(amount_twd=one), by="tests", today=TODAY
            )
            model.held += one
            model.till += one
        case "hand_in":
            found = service.hand_in(
                session, counted=HandInIn(driver_id=driver_id, counted_twd=abs(one)), by="tests", today=TODAY
            )
            assert found.expected_twd == model.driver
            model.missing += model.driver - abs(one)
            model.till += abs(one)
            model.driver = 0
        case "carry" if (up_to := ledger.sums.newest_entry(session)) is not None:
            ledger.sums.carry(session, up_to=up_to)
        case "reverse":
            _reverse_the_last_payment(session, model)


def _reverse_the_last_payment(session: Session, model: Model) -> None:
    last = session.scalar(select(func.max(Entry.id)).where(Entry.kind == "payment"))
    if last is None:
        return
    made = ledger.reverse(session, entry_id=last, day=TODAY, by="tests", reason="x")
    for line in made.lines:
        match line.account:
            case Account.RECEIVABLE:
                model.owed += line.amount_twd
            case Account.TILL:
                model.till += line.amount_twd
            case Account.BANK:
                model.bank += line.amount_twd
            case Account.DRIVER_CASH:
                model.driver += line.amount_twd


@settings(max_examples=25)
@given(st.lists(ACTS, max_size=10))
def test_the_books_are_what_was_done(session: Session, acts: list[tuple[str, int, int]]) -> None:
    with contextlib.closing(session.begin_nested()) as example:
        people = make_customer(session).id, make_driver(session).id
        model = Model()
        for wanted in acts:
            with contextlib.suppress(Problem), session.begin_nested():
                act(session, model, people, wanted)
            assert ledger.balances(session) == model.accounts()
            assert model.held >= 0
        assert sum(model.accounts().values()) == 0
        sums = session.scalars(select(func.sum(EntryLine.amount_twd)).group_by(EntryLine.entry_id))
        assert set(sums) <= {0}
        assert ledger.owed(session, customer_id=people[0]) == model.owed
        assert ledger.held_deposit(session, customer_id=people[0]) == model.held
        example.rollback()


@settings(max_examples=20)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 6000)), max_size=8))
def test_bills_ask_for_every_delivery_once(session: Session, steps: list[tuple[bool, bool, int]]) -> None:
    """Whenever bills are made, and whatever is paid at the door or taken back: what is owed is asked for, and once."""
    with contextlib.closing(session.begin_nested()) as example:
        customer, driver = make_customer(session), make_driver(session)
        terms = service.AccountIn(is_monthly=True)
        service.agree(session, customer_id=customer.id, terms=terms, seen={0}, today=TODAY)
        made: list[service.bills.Bill] = []

        def make_bill() -> None:
            one = service.bills.of_month(session, customer_id=customer.id, until=TODAY, today=TODAY)
            made.extend([one] if one else [])
            left = sum(service.bills.open_twd(session, bill=each) for each in made)
            assert left == max(0, ledger.owed(session, customer_id=customer.id))

        for makes_bill, goes_back, cash in steps:
            order = make_order(session, customer)
            paid = min(cash, max(0, ledger.owed(session, customer_id=customer.id) + order.total_twd))
            money = service.AtDoor(
                customer_id=customer.id, order_id=order.id, driver_id=driver.id, total_twd=order.total_twd,
                cash_twd=paid, deposit_twd=0, by_transfer=False,
            )  # fmt: skip
            service.settle_at_door(session, money=money, by="tests", today=TODAY)
            if makes_bill:
                make_bill()
            if goes_back:
                ledger.take_back(session, order_id=order.id, day=TODAY, by="tests", reason="x")
        make_bill()
        example.rollback()
