"""What the topology needs of the database itself. Functions of a connection, run by `Database.run`."""

import sqlalchemy as sa

from backend.wire.messages import DatabaseView, Health

_STANDBYS = """SELECT coalesce(nullif(application_name, ''), 'standby') AS name, state, sync_state,
    extract(epoch FROM coalesce(replay_lag, interval '0'))::float AS lag_s FROM pg_stat_replication ORDER BY 1"""
LATE_STANDBY_S = 10.0


def database_views(conn: sa.Connection, name: str) -> tuple[DatabaseView, ...]:
    """The database this server uses, and the standbys that follow it as far as it may see them."""
    if conn.dialect.name == "sqlite":
        file = DatabaseView(
            name=name, engine="sqlite", role="single copy", health="ok", detail="answers; one file on this server"
        )
        return (file,)
    standbys = tuple(
        _standby(row.name, row.state, row.sync_state, row.lag_s) for row in conn.execute(sa.text(_STANDBYS))
    )
    wanted = conn.exec_driver_sql("SELECT current_setting('synchronous_standby_names') <> ''").scalar_one()
    behind = (
        "no standby follows"
        if not standbys
        else f"{len(standbys)} standby" + ("s follow" if len(standbys) > 1 else " follows")
    )
    health: Health = "error" if wanted and not standbys else "ok"
    primary = DatabaseView(name=name, engine="postgresql", role="primary", health=health, detail=f"answers; {behind}")
    return (primary, *standbys)


def _standby(name: str, state: str | None, sync_state: str | None, lag_s: float) -> DatabaseView:
    health: Health = "ok" if state in ("streaming", None) and lag_s < LATE_STANDBY_S else "warning"
    detail = f"{state or 'follows'}, {sync_state or 'unknown'}" + (f", {lag_s:.0f} s behind" if lag_s >= 1 else "")
    return DatabaseView(name=name, engine="postgresql", role="standby", health=health, detail=detail)
