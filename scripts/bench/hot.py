"""One shared account that every charge goes to, beside accounts spread wide, and beside `pgbench` TPC-B.

The account's row is locked once for each batch, however many charges it takes, so a hot account should cost nothing.
"""

from contextlib import ExitStack

from scripts.bench.frame import show, take_turns
from scripts.bench.ledger import IN_FLIGHT, ROUNDS, commands_per_second, filled_store, pgbench, start


def main() -> None:
    with ExitStack() as stack:
        server = start(stack)
        store, _ = stack.enter_context(filled_store(server))
        hot, spread, peer = take_turns(
            [
                lambda: commands_per_second(store, users=1),
                lambda: commands_per_second(store),
                lambda: pgbench(server, "simple"),
            ],
            ROUNDS,
        )
        title = f"every charge to one account: commands a second, {IN_FLIGHT} in flight, fsync on"
        show(title, ("one account", hot), ("300,000 accounts", spread), "/s", ">= 1")
        show(title, ("one account", hot), ("pgbench TPC-B", peer), "/s", ">= 8")


if __name__ == "__main__":
    main()
