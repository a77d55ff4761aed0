"""The route of the audit log."""

from luckygas.access import Permission
from luckygas.audit import service
from luckygas.audit.schemas import AuditPage, AuditQuery
from luckygas.db.session import current_session
from luckygas.web.addresses import API
from luckygas.web.blueprint import Blueprint
from luckygas.web.pagination import page_of

blueprint = Blueprint("audit", __name__, url_prefix=f"{API}/audit", tag="Audit log")


@blueprint.get("", auth=Permission.AUDIT_READ, standby=True)
@blueprint.input(AuditQuery, location="query", arg_name="query")
@blueprint.output(AuditPage)
def find(query: AuditQuery) -> dict:
    """List who did what, newest first."""
    return page_of(
        query,
        lambda before_id, count: service.find(current_session(), query=query, before_id=before_id, count=count),
    )
