import pytest

from merjax.data.action_units import parse
from merjax.data.record import ActionUnit as Unit

# Every form that datasets are known to write, with the units that a reader of FACS sees in it.
FORMS = {
    "12": (Unit(12),),
    "4+7+L10": (Unit(4), Unit(7), Unit(10, "L")),
    "R1+R2": (Unit(1, "R"), Unit(2, "R")),
    "2+1": (Unit(2), Unit(1)),
    "A12+A7": (Unit(12, "A"), Unit(7, "A")),
    "7B": (Unit(7, "", "B"),),
    "A1B+A2C": (Unit(1, "A", "B"), Unit(2, "A", "C")),
    "10A/B": (Unit(10, "", "A/B"),),
    "A/L12": (Unit(12, "A/L"),),
    "T23": (Unit(23, "T"),),
    "B18+25": (Unit(18, "B"), Unit(25)),
    "U12": (Unit(12, "U"),),
    "ref(7B)+43": (Unit(7, "", "B", reference=True), Unit(43)),
    "Ref (7+4B) + 43": (Unit(7, reference=True), Unit(4, "", "B", reference=True), Unit(43)),
    "(R6 or R12)+R15": (Unit(6, "R", ambiguous=True), Unit(12, "R", ambiguous=True), Unit(15, "R")),
    "L12 or L14": (Unit(12, "L", ambiguous=True), Unit(14, "L", ambiguous=True)),
    "R14A or 17A or 24A": (
        Unit(14, "R", "A", ambiguous=True),
        Unit(17, "", "A", ambiguous=True),
        Unit(24, "", "A", ambiguous=True),
    ),
    "6or12": (Unit(6, ambiguous=True), Unit(12, ambiguous=True)),
    "R14+17+soft focus": (Unit(14, "R"), Unit(17)),
    "12+15 ": (Unit(12), Unit(15)),
    "L12 + 61": (Unit(12, "L"), Unit(61)),
    "12L": (Unit(12, "L"),),
    "12 R14": (Unit(12), Unit(14, "R")),  # the R is the next unit's, not 12's
    "AU4+6(k)+12(k)": (Unit(4), Unit(6, static=True), Unit(12, static=True)),
    "AUR1+2+ L4+45": (Unit(1, "R"), Unit(2), Unit(4, "L"), Unit(45)),
    "R4,5": (Unit(4, "R"), Unit(5)),
    "4，11": (Unit(4), Unit(11)),
    "": (),
    "/": (),
    "for ever": (),
}


@pytest.mark.parametrize(("text", "units"), FORMS.items(), ids=FORMS)
def test_every_form_of_the_sheets_is_read(text, units):
    assert parse(text) == units


def test_a_unit_before_or_after_a_choice_is_certain():
    assert [unit.ambiguous for unit in parse("4+6 or 12+15")] == [False, True, True, False]
