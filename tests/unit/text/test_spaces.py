import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.text.spaces import respace

# "_" stands for a no-break space
CASES = [
    ("10_kg", "10 kg", "10_kg"),
    ("10_kg", "10 quilos", "10_quilos"),
    ("page_5 of 9", "página 5 de 9", "página_5 de 9"),
    ("Mr._Smith and Dr._Who", "O Sr. Smith e o Dr. Who", "O Sr._Smith e o Dr._Who"),
    ("Sim_! Já_?", "Yes ! Now ?", "Yes_! Now_?"),
    ("Sim_!", "Yes!", "Yes!"),
    ("«_Sim_» e", "« Yes » and", "«_Yes_» and"),
    ("5_% or 7 %", "5 % ou 7 %", "5_% ou 7 %"),
    ("5_% or 7 %", "7 % ou 5 %", "7 % ou 5_%"),
    ("5_% or 5 %", "5 % ou 5 %", "5_% ou 5 %"),  # the same place twice: in the same order
    ("5_% or 5 %", "5 %", "5 %"),  # … and which one is lost nobody can tell
    ("1_234_567 men", "1 234 567 homens", "1_234_567 homens"),
    ("the_red car", "o carro vermelho", "o carro vermelho"),  # no such place
    ("the_red_car", "o carro vermelho", "o_carro_vermelho"),  # all are alike
    ("New_York", "da Nova Iorque", "da_Nova_Iorque"),
    ("New_York ", "Nova Iorque ", "Nova_Iorque "),
    ("Bonjour_tout_le monde", "Hello everybody here", "Hello everybody here"),
    ("10_kg", "10 quilos por dia", "10_quilos por dia"),
    ("10_kg of", "10 quilos por", "10_quilos por"),
    ("Oui_!", "Yes sir!", "Yes sir!"),
    ("Bonjour_tout_le_monde_!", "Hello, dear world!", "Hello,_dear_world!"),
    ("a\u202fb\u202fc", "x y z", "x\u202fy\u202fz"),
    ("a_b\u202fc", "x y z", "x y z"),
    ("John_Smith and John", "John Smith e John", "John_Smith e John"),
    ("Note:  it is", "Nota: isto é", "Nota:  isto é"),
    ("A\u3000B", "A B", "A\u3000B"),
    ("A B", "A  B", "A  B"),  # what the source has single stays as it came
    ("", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("source", "said", "text"), CASES)
def test_odd_spaces_come_back(source: str, said: str, text: str) -> None:
    source, text = (one.replace("_", "\u00a0") for one in (source, text))
    assert respace(source, said) == text


TEXTS = st.text(st.sampled_from("ab1:. \u00a0\u3000\t"), max_size=20)


@given(TEXTS)
def test_a_sentence_without_odd_spaces_gets_its_own_back(text: str) -> None:
    text = text.strip()
    assert respace(text, " ".join(text.split())) == text


@given(TEXTS, TEXTS)
def test_nothing_but_spaces_changes(source: str, target: str) -> None:
    assert respace(source, target).split() == target.split()
