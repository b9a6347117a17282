"""Row operations really lead from the one list to the other."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.rows import MAX_OPERATIONS, Insert, difference

ids = st.lists(st.integers(0, 40).map(str), unique=True, max_size=30)


@settings(deadline=None)
@given(ids, ids)
def test_the_operations_lead_to_the_new_list(old: list[str], new: list[str]) -> None:
    kept = [item for item in old if item in new]
    same_order = kept == [item for item in new if item in old]
    operations = difference(old, new)
    assert (operations is not None) == same_order
    rows = list(old)
    for operation in operations or []:
        if isinstance(operation, Insert):
            rows[operation.first : operation.first] = operation.ids
        else:
            assert operation.first <= operation.last < len(rows)
            del rows[operation.first : operation.last + 1]
    if operations is not None:
        assert rows == new


def test_a_block_is_one_operation() -> None:
    assert difference(["c"], ["a", "b", "c"]) == [Insert(0, ("a", "b"))]


def test_another_list_is_a_reset() -> None:
    old = [str(n) for n in range(4 * MAX_OPERATIONS)]
    assert difference(old, old[::2]) is None
