import pytest

from provider.jobs.user_names import UserNames, map_user_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Anna", "anna"),
        ("CAMPUS\\Anna", "anna"),
        ("anna@CAMPUS.EXAMPLE", "anna"),
        ("CAMPUS\\anna@campus.example", "anna"),
        ("  anna\n", "anna"),
        ("@", "@"),
        ("", "anonymous"),
        ("x" * 300, "x" * 255),
    ],
)
def test_domain_realm_and_case_do_not_make_another_person(name: str, expected: str) -> None:
    assert map_user_name(name, UserNames()) == expected


def test_each_step_has_its_switch() -> None:
    plain = UserNames(lower_case=False, strip_domain=False, strip_realm=False)
    assert map_user_name("D\\Anna@R", plain) == "D\\Anna@R"
