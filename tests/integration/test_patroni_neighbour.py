"""The database cluster itself, without Inkeeper, from the settings that are shipped under packaging/patroni."""

from pathlib import Path

import pytest

from tests.support.folders import scratch_folder
from tests.support.patroni import PatroniCluster
from tests.support.processes import run, wait_until

pytestmark = [pytest.mark.xdist_group("alone"), pytest.mark.timeout(400)]
PROMISED = {
    "ttl": 20,
    "loop_wait": 1,
    "retry_timeout": 3,
    "primary_start_timeout": 0,
    "synchronous_mode": True,
    "synchronous_mode_strict": True,
    "failsafe_mode": True,
}


@pytest.mark.long  # the campaigns that `make test` plays freeze and kill primaries too; this one looks closer
def test_a_frozen_primary_is_replaced_and_takes_nothing_back() -> None:
    """Patroni before 3.0.3 overwrote the new leader's key when it woke, and threw its commits away."""
    with scratch_folder("ik-ha-") as folder, PatroniCluster(folder / "cluster") as cluster:
        old = cluster.primary()
        config = old.ask("/config")
        assert {key: config[key] for key in PROMISED} == PROMISED

        old.freeze_postgres()
        wait_until(cluster.writable, 90, "another primary")
        new = cluster.primary()
        assert new is not old
        with cluster.connect() as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        cluster.mend()
        assert cluster.primary() is new
        with cluster.connect() as connection:
            assert connection.execute("SELECT one FROM kept").fetchall() == [(1,)]

        third = cluster.sync_standby()
        new.kill_postmaster()
        wait_until(cluster.writable, 60, "another primary")
        assert cluster.primary() is third
        cluster.mend()  # the failed primary is there again by itself


def test_the_templates_are_filled_in_for_a_node(tmp_path: Path) -> None:
    fill = Path(__file__).parents[2] / "packaging" / "patroni" / "fill"
    words = ["--nodes", "db1=192.0.2.11,db2=192.0.2.12,db3=192.0.2.13", "--network", "192.0.2.0/24"]
    words += ["--passwords", str(tmp_path / "passwords.env")]
    texts = []
    for name in ("db1", "db2"):
        run([fill, "--node", name, *words, "--out", tmp_path / name])
        for file in ("patroni.yml", "etcd.env"):
            text = (tmp_path / name / file).read_text()
            settings = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
            assert not [line for line in settings if "@" in line.replace("@%d", "").replace("@/", "")]
            assert (tmp_path / name / file).stat().st_mode & 0o077 == 0
        texts.append((tmp_path / name / "patroni.yml").read_text())
    assert "hosts: [192.0.2.11:2379, 192.0.2.12:2379, 192.0.2.13:2379]" in texts[0]
    assert texts[1] == texts[0].replace("name: db1", "name: db2").replace("192.0.2.11:8008", "192.0.2.12:8008").replace(
        "192.0.2.11:5432", "192.0.2.12:5432"
    )
    done = run([fill, "--node", "db9", *words, "--out", tmp_path / "db9"], check=False)
    assert done.returncode == 2
    assert "db9 is none of --nodes" in done.stderr
