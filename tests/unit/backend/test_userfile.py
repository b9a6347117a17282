"""Lists of users as spreadsheets and directories save them."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.wire.people import ImportRow, UserDetails
from backend.wire.userfile import CARDS, PAPERCUT, FileRefused, Listing, read_listing, text_of

ANN = ImportRow(row=2, name="ann", details=UserDetails(full_name="Ann Smith", email="ann@example.org"))


def read(text: str) -> Listing:
    return read_listing(text, 4)


def troubles(text: str, columns: tuple[str, ...] = ()) -> list[tuple[int, str]]:
    return [(trouble.row, trouble.text) for trouble in read_listing(text, 4, columns).troubles]


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_any_way_to_save_a_list(delimiter: str, ends: str, mark: bytes, encoding: str) -> None:
    lines = [
        ["User Name", "full-name", "E-Mail"],
        ["CAMPUS\\Ann", "Ann Smith", "ann@example.org"],
        ["bob", "Bjørn", ""],
    ]
    text = ends.join(delimiter.join(line) for line in lines)
    found = read(text_of(mark + text.encode(encoding)))
    assert found.rows == [ANN, ImportRow(row=3, name="bob", details=UserDetails(full_name="Bjørn"))]
    assert not found.troubles


def test_quotes_hold_delimiters_and_line_ends() -> None:
    found = read('name,notes,full name\nann,"one, two\nthree ""x""","Smith, Ann"\n\n  \nbob,,Bob\n')
    assert [(row.row, row.details.notes, row.details.full_name) for row in found.rows] == [
        (3, 'one, two\nthree "x"', "Smith, Ann"),
        (6, None, "Bob"),
    ]


def test_money_and_switches() -> None:
    found = read("name;balance;restricted;overdraft;disabled\nann;-1.5;Y;2;no\nbob;;;;\n")
    assert found.rows == [
        ImportRow(
            row=2, name="ann", balance=-15000, restricted=True, overdraft=20000, details=UserDetails(disabled=False)
        ),
        ImportRow(row=3, name="bob"),
    ]


def test_papercuts_own_files() -> None:
    text = (
        "ann\t5.00\tN\tAnn\tann@x\tArt\t1.02\t0047\t1234\tnotes\t0048\tother@x\ta.smith\t/home\nbob\nCARL\t\t\tCarl\n"
    )
    found = read_listing(text, 4, PAPERCUT)
    assert found.rows[0] == ImportRow(
        row=1,
        name="ann",
        balance=50000,
        restricted=False,
        details=UserDetails(
            full_name="Ann", email="ann@x", department="Art", office="1.02", card_number="0047", notes="notes",
            card_number2="0048", alias="a.smith",
        ),
    )  # fmt: skip
    assert found.rows[1:] == [
        ImportRow(row=2, name="bob"),
        ImportRow(row=3, name="carl", details=UserDetails(full_name="Carl")),
    ]
    cards = read_listing("ann\t0047\t1234\n", 4, CARDS).rows
    assert cards == [ImportRow(row=1, name="ann", details=UserDetails(card_number="0047"))]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (",Ann,,,", "the name is blank"),
        ("ann,Ann,nobody,,", "no e-mail address"),
        ("ann,Ann,a@x,ten,", "'ten' is no amount"),
        ("ann,Ann,a@x,,maybe", "write yes or no"),
        ("ann,Ann,a@x,1", "4 columns where the first line names 5"),
        ("ann,Ann,a@x,1,y,", "6 columns"),
        (f"ann,{'x' * 256},,,", "longer than 255"),
        ("ann,A\x07nn,,,", "control characters"),
    ],
)
def test_a_row_is_refused_whole_with_its_line(cells: str, words: str) -> None:
    found = read(f"name,full_name,email,balance,restricted\nbob,Bob,,,\n{cells}\ncarl,Carl,,,\n")
    assert [row.name for row in found.rows] == ["bob", "carl"]
    ((trouble),) = found.troubles
    assert trouble.row == 3
    assert words in trouble.text


def test_what_stands_twice_is_refused_the_second_time() -> None:
    text = "name,card,card2,alias\nann,1,2,a\nANN,3,,\nbob,2,,\ncarl,,,A@x\ndave,4,4,\n"
    assert troubles(text) == [
        (3, "the user 'ann' stands in line 2 already: remove one of them"),
        (4, "the card '2' stands in line 2 already: remove one of them"),
        (5, "the alias 'a' stands in line 2 already: remove one of them"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column `name`"),
        ("full name,email\n", "no column `name`"),
        ("name,shoe size\n", "'shoe size' is not known"),
        ("name,user\n", "two columns are the name"),
        (f'name\n"{"x" * 200_000}"\n', "field larger"),
    ],
)
def test_a_file_is_refused(text: str, words: str) -> None:
    with pytest.raises(FileRefused, match=words):
        read(text)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(FileRefused, match="line 2 is neither"):
        text_of(b"name\nm\xfcller\n")


@given(st.text(max_size=300), st.sampled_from([(), PAPERCUT, CARDS]))
def test_nothing_but_a_refusal_comes_of_any_text(text: str, columns: tuple[str, ...]) -> None:
    try:
        found = read_listing(text, 4, columns)
    except FileRefused:
        return
    assert all(row.name for row in found.rows)
