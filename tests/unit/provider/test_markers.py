"""What printers tell of supplies and media, read: lists of any length, levels of any kind, words of any shape."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.wire.printers import QueueReport, Supply
from provider.cups.ipp import BEGIN_COLLECTION, PRINTER_GROUP, Group, Value
from provider.cups.markers import ASKED, MOST, read_media, read_reasons, read_supplies


def supplies(**lists: list[Value]) -> tuple[Supply, ...]:
    attributes = {name.replace("_", "-"): values for name, values in lists.items()}
    return read_supplies(Group(PRINTER_GROUP, attributes))


def test_the_lists_side_by_side_are_read() -> None:
    assert supplies(
        marker_names=["Black", "Cyan"],
        marker_levels=[70, 3],
        marker_colors=["#000000", "#00FFFF"],
        marker_types=["toner", "toner"],
        marker_low_levels=[10, 10],
    ) == (
        Supply(name="Black", level=70, color="#000000", kind="toner"),
        Supply(name="Cyan", level=3, color="#00FFFF", kind="toner", low=True),
    )


@pytest.mark.parametrize(
    ("told", "level", "low"),
    [
        *((told, told, False) for told in (-1, -2, -3, 6, 100)),
        *((told, told, True) for told in (0, 5)),
        *((told, -2, False) for told in (-4, 101, 2**31 - 1, True, None, "9")),
    ],
)
def test_levels_are_percent_or_say_that_nobody_knows(told: Value, level: int, low: bool) -> None:
    (one,) = supplies(marker_names=["x"], marker_levels=[told], marker_low_levels=[5])
    assert (one.level, one.low) == (level, low)


@pytest.mark.parametrize(("level", "low"), [(89, False), (90, True), (-2, False)])
def test_a_waste_box_is_short_of_room_when_it_is_full(level: int, low: bool) -> None:
    lists: dict[str, list[Value]] = {"marker_names": ["Waste"], "marker_types": ["waste-toner"]}
    (one,) = supplies(**lists, marker_levels=[level], marker_low_levels=[0], marker_high_levels=[90])
    assert one.low is low


def test_lists_of_different_lengths_go_by_the_names() -> None:
    found = supplies(marker_names=["a", "b"], marker_levels=[1, 2, 3], marker_colors=["#1"], marker_types=[])
    assert found == (Supply(name="a", level=1, color="#1"), Supply(name="b", level=2))
    assert supplies(marker_levels=[1, 2]) == ()
    assert len(supplies(marker_names=["x"] * 1000)) == MOST


def test_the_strings_of_printer_supply_are_read() -> None:
    strings: list[Value] = [
        b"index=1;class=supplyThatIsConsumed;type=toner;unit=percent;maxcapacity=200;level=150;colorantname=black;",
        b"type=toner;maxcapacity=100;level=7;colorantname=Cyan",
        b"type=wasteToner;maxcapacity=100;level=2;",
        b"type=fuser;maxcapacity=-2;level=40",
        b"type=opc;maxcapacity=0;level=-3",
        b"\xff\xfe;=;level",
    ]
    group = Group(PRINTER_GROUP, {"printer-supply": strings, "printer-supply-description": ["Black Toner", ""]})
    assert [(one.name, one.level, one.color, one.kind, one.low) for one in read_supplies(group)] == [
        ("Black Toner", 75, "#000000", "toner", False),
        ("Cyan toner", 7, "#00FFFF", "toner", False),
        ("wasteToner", 2, "", "wasteToner", False),
        ("fuser", -2, "", "fuser", False),
        ("opc", -3, "", "opc", False),
        ("supply 6", -2, "", "", False),
    ]
    group.attributes["printer-state-reasons"] = ["toner-low-warning"]
    assert [one.name for one in read_supplies(group) if one.low] == ["Cyan toner"]


def test_the_lists_come_before_the_strings() -> None:
    assert supplies(marker_names=["a"], printer_supply=[b"type=toner"]) == (Supply(name="a", level=-2),)


def test_media_and_reasons_are_told_once() -> None:
    told: list[Value] = ["iso_a4_210x297mm", "iso_a4_210x297mm", "", "unknown", None, "na_letter_8.5x11in\0"]
    assert read_media(Group(PRINTER_GROUP, {"media-ready": told})) == ("iso_a4_210x297mm", "na_letter_8.5x11in")
    assert read_reasons(["none", "media-empty", "media-empty", ""]) == ("media-empty",)


def tray(**members: list[Value]) -> Group:
    return Group(BEGIN_COLLECTION, {name.replace("_", "-"): values for name, values in members.items()})


def size(x: Value, y: Value) -> Group:
    return tray(x_dimension=[x], y_dimension=[y])


def test_media_told_as_collections_are_read_where_no_names_are_told() -> None:
    trays: list[Value] = [
        tray(media_size=[size(21000, 29700)]),
        tray(media_size=[size(29700, 21000)], media_source=["tray-2"]),
        tray(media_size=[size(10000, 20000)]),
        tray(media_size_name=["na_letter_8.5x11in"], media_size=[size(b"from 1 to 9", 5)]),
        tray(media_size=[size(0, -1)]),
        None,
    ]
    described = ("iso_a4_210x297mm", "custom_100x200mm_100x200mm", "na_letter_8.5x11in")
    assert read_media(Group(PRINTER_GROUP, {"media-col-ready": trays})) == described
    named = Group(PRINTER_GROUP, {"media-ready": ["iso_a3_297x420mm"], "media-col-ready": trays})
    assert read_media(named) == ("iso_a3_297x420mm",)


TEXTS = st.text(alphabet="ab1=;-\0\n\x1b é\U0001f58b", max_size=20)
VALUES = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.booleans(),
    TEXTS,
    TEXTS.map(lambda text: text * 500),
    st.binary(max_size=20),
    st.none(),
)


@given(st.dictionaries(st.sampled_from(ASKED), st.lists(VALUES, max_size=40)))
def test_whatever_a_printer_says_the_wire_takes_it(attributes: dict[str, list[Value]]) -> None:
    group = Group(PRINTER_GROUP, attributes)
    report = QueueReport(
        name="q",
        tracked=True,
        supplies=read_supplies(group),
        media_ready=read_media(group),
        printer_state_reasons=read_reasons(group.texts("printer-state-reasons")),
    )
    told = msgspec.json.encode(report)
    assert msgspec.json.decode(told, type=QueueReport) == report
    assert b"\\u0000" not in told  # PostgreSQL takes none
