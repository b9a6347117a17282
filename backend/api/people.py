"""Operations on users as people: a list of them from a file."""

from backend.access.model import ADMIN, Principal
from backend.api.operation import operation
from backend.api.services import Services
from backend.people import bulk
from backend.wire.messages import ImportAnswer, ImportUsers


@operation("POST", "/api/v1/users/import", roles=ADMIN)
async def import_users(services: Services, who: Principal, body: ImportUsers) -> ImportAnswer:
    """Make or change many users, all that can be; why a row was refused is told beside its number.

    The same rows again change nothing, so a lost answer is simply asked for again.
    """
    database = services.database
    do = database.run if body.dry_run else database.write
    return await do(
        bulk.import_users, body.rows, update=body.update, dry_run=body.dry_run, actor=who.actor, role=who.role
    )
