"""Paper sizes as PWG 5101.1 names them ("iso_a4_210x297mm"), from points, millimetres or a PPD's PageSize.

A size is known by its two edges whichever way round, within 1.5 mm: programs round points differently (A4 is
595×842, 595.28×841.89 or 596×843) and no two sizes in the table are that close. What is in no table is a custom
size, short edge first. The table is PWG 5101.1-2013 §5, without envelopes nobody can order. Pure.
"""

import math
from typing import Final

POINTS_PER_MM: Final = 72 / 25.4
MM_PER_INCH: Final = 25.4
TOLERANCE_MM: Final = 1.5
MAX_EDGE_MM: Final = 1_000_000.0

NAMES: Final = (
    "iso_a0_841x1189mm",
    "iso_a1_594x841mm",
    "iso_a2_420x594mm",
    "iso_a3_297x420mm",
    "iso_a4_210x297mm",
    "iso_a5_148x210mm",
    "iso_a6_105x148mm",
    "iso_a7_74x105mm",
    "iso_a8_52x74mm",
    "iso_a9_37x52mm",
    "iso_a10_26x37mm",
    "iso_2a0_1189x1682mm",
    "iso_ra0_860x1220mm",
    "iso_ra1_610x860mm",
    "iso_ra2_430x610mm",
    "iso_ra3_305x430mm",
    "iso_ra4_215x305mm",
    "iso_sra0_900x1280mm",
    "iso_sra1_640x900mm",
    "iso_sra2_450x640mm",
    "iso_sra3_320x450mm",
    "iso_sra4_225x320mm",
    "iso_b0_1000x1414mm",
    "iso_b1_707x1000mm",
    "iso_b2_500x707mm",
    "iso_b3_353x500mm",
    "iso_b4_250x353mm",
    "iso_b5_176x250mm",
    "iso_b6_125x176mm",
    "iso_b7_88x125mm",
    "iso_b8_62x88mm",
    "iso_c3_324x458mm",
    "iso_c4_229x324mm",
    "iso_c5_162x229mm",
    "iso_c6_114x162mm",
    "iso_dl_110x220mm",
    "jis_b0_1030x1456mm",
    "jis_b1_728x1030mm",
    "jis_b2_515x728mm",
    "jis_b3_364x515mm",
    "jis_b4_257x364mm",
    "jis_b5_182x257mm",
    "jis_b6_128x182mm",
    "jpn_hagaki_100x148mm",
    "jpn_oufuku_148x200mm",
    "jpn_chou3_120x235mm",
    "jpn_kaku2_240x332mm",
    "prc_16k_146x215mm",
    "prc_32k_97x151mm",
    "roc_16k_7.75x10.75in",
    "roc_8k_10.75x15.5in",
    "na_letter_8.5x11in",
    "na_legal_8.5x14in",
    "na_ledger_11x17in",
    "na_executive_7.25x10.5in",
    "na_invoice_5.5x8.5in",
    "na_foolscap_8.5x13in",
    "na_govt-letter_8x10in",
    "na_govt-legal_8x13in",
    "na_super-b_13x19in",
    "na_super-a_8.94x14in",
    "na_number-10_4.125x9.5in",
    "na_monarch_3.875x7.5in",
    "na_index-3x5_3x5in",
    "na_index-4x6_4x6in",
    "na_index-5x8_5x8in",
    "na_5x7_5x7in",
    "na_c_17x22in",
    "na_d_22x34in",
    "na_e_34x44in",
    "na_f_44x68in",
    "na_arch-a_9x12in",
    "na_arch-b_12x18in",
    "na_arch-c_18x24in",
    "na_arch-d_24x36in",
    "na_arch-e_36x48in",
    "oe_photo-l_3.5x5in",
    "om_small-photo_100x150mm",
    "om_folio_210x330mm",
)

PPD_NAMES: Final = {
    "letter": "na_letter_8.5x11in",
    "legal": "na_legal_8.5x14in",
    "tabloid": "na_ledger_11x17in",
    "ledger": "na_ledger_11x17in",
    "executive": "na_executive_7.25x10.5in",
    "statement": "na_invoice_5.5x8.5in",
    **{f"a{n}": next(name for name in NAMES if name.startswith(f"iso_a{n}_")) for n in range(11)},
    **{f"isob{n}": next(name for name in NAMES if name.startswith(f"iso_b{n}_")) for n in range(9)},
    **{f"b{n}": next(name for name in NAMES if name.startswith(f"jis_b{n}_")) for n in range(7)},
}


def edges_mm(name: str) -> tuple[float, float]:
    """Short and long edge in millimetres of a self-describing name; raises ValueError for another text."""
    size = name.rpartition("_")[2]
    unit = MM_PER_INCH if size.endswith("in") else 1.0
    if not size.endswith(("in", "mm")):
        raise ValueError(f"{name!r} is not a self-describing media size name")
    first, _, second = size[:-2].partition("x")
    short, long = sorted((float(first) * unit, float(second) * unit))
    return short, long


_SIZES: Final = tuple((*edges_mm(name), name) for name in NAMES)


def media_name(width_pt: float, height_pt: float) -> str:
    """The PWG name of a size in points (1/72 inch), whichever way round; "" for what is no size."""
    if not (math.isfinite(width_pt) and math.isfinite(height_pt)) or min(width_pt, height_pt) <= 0:
        return ""
    short, long = (min(edge / POINTS_PER_MM, MAX_EDGE_MM) for edge in sorted((width_pt, height_pt)))
    known = (
        (abs(short - a) + abs(long - b), name)
        for a, b, name in _SIZES
        if abs(short - a) <= TOLERANCE_MM and abs(long - b) <= TOLERANCE_MM
    )
    custom = f"{_number(short)}x{_number(long)}mm"
    return min(known, default=(0.0, f"custom_{custom}_{custom}"))[1]


def media_of_option(value: str) -> str:
    """The PWG name behind a `media=` or `PageSize=` value; "" where the value names none we know."""
    for word in value.split(","):
        base = word.partition(".")[0].lower() if not word.lower().endswith(("in", "mm")) else word.lower()
        if base in PPD_NAMES:
            return PPD_NAMES[base]
        if base in NAMES or (base.startswith("custom_") and _is_name(base)):
            return base
    return ""


def _is_name(name: str) -> bool:
    try:
        edges_mm(name)
    except ValueError:
        return False
    return True


def _number(millimetres: float) -> str:
    """At most two decimals, as few as needed."""
    return f"{millimetres:.2f}".rstrip("0").rstrip(".")
