# ruff: noqa: RUF001  typographic quotes and dashes are meant
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexkey.text.protect import SentencePlan
from hexkey.text.typography import restyle, sober, spell, strange

from .test_protect import run


def knows(text: str) -> bool:
    """Know what a small model for English knows, and small letters with an accent."""
    return all((one.isascii() and one not in "@^#\\") or one in "ãçéà" for one in text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I met Müller, (Škoda) and Łódź.", ["Müller", "Škoda", "Łódź"]),
        ("Write to user@host: E = mc^2.", ["user@host", "mc^2"]),
        ("It’s “fine” – really… Às 5, NÃO!", []),
        ("Say \u200fשלום\u200e, 你好。", ["\u200fשלום\u200e", "你好。"]),
        ("so\u00adft ± 2", ["±"]),
    ],
)
def test_strange_words(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in strange(text, knows)] == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It’s “fine” – 10–20 «on» ‘it’", 'It\'s "fine" - 10-20 "on" \'it\''),
        ("so\u00adft \u202bhe\u200bre\u202c", "soft here"),
        ("Às 5 NÃO vou à Época", "Às 5 não vou à Época"),
        ("so… a……b…. c?…", "so... a...b... c?..."),  # four dots would be a leader
        ("plain", "plain"),
    ],
)
def test_spelling(text: str, said: str) -> None:
    assert spell(text, knows) == said


@pytest.mark.parametrize(
    ("source", "said", "text"),
    [
        ("“a” b", '"x" y', "“x” y"),
        ("«a» “b”", '"x" "y"', "«x» “y”"),
        ("“a” b", "x y", "x y"),
        ("“a” b", 'x" y', 'x" y'),
        ("don’t", "não", "não"),
        ("a — b – c-d", "x - y - z-w", "x — y – z-w"),
        ("10–20 a-b", "10-20 a-b", "10–20 a-b"),
        ("a… b…", "x... y...", "x… y…"),
        ('"a" – b', '"x" - y', '"x" – y'),
    ],
)
def test_marks_come_back(source: str, said: str, text: str) -> None:
    assert restyle(source, said) == text


@pytest.mark.parametrize(
    ("source", "said", "text"),
    [
        ("Hello", "Olá,", "Olá"),
        ("Hello world", "Olá, mundo!", "Olá, mundo"),
        ("Good morning", "Bom dia.", "Bom dia."),  # three letters: it may be an abbreviation
        ("Chapter 5", "Capítulo 5.", "Capítulo 5"),
        ("Hello.", "Olá!", "Olá!"),
        ("Anna Smith", "Anna Smith (em inglês)", "Anna Smith"),
        ("a licence", "LICENÇA (", "LICENÇA"),
        ("J. O’Hara-Smith", "J. O’Hara-Smith (inglés", "J. O’Hara-Smith"),
        ("a (b)", "x (y)", "x (y)"),
        ("Cancelar", "Cancel Cancel", "Cancel"),
        ("Segunda", "The Second Second half", "The Second half"),
        ("Thanks,", "Obrigado, obrigado,", "Obrigado,"),
        ("Slowly", "Yavaş yavaş", "Yavaş yavaş"),
        ("slowly", "yavaş yavaş", "yavaş yavaş"),
        ("Go go", "Vai Vai", "Vai Vai"),
    ],
)
def test_nothing_is_added(source: str, said: str, text: str) -> None:
    assert sober(source, said) == text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("东京（日本）是首都。", "Tokyo (Japan) is the capital."),
        ("东京（日本）", "Tokyo (Japan)"),
        ("[Note] x y", "(Nota) x y"),
        ("x 【y】", "x (y)"),
        ("student", "étudiant(e)"),
        ("friends", "Freund(inn)e(n)"),
        ("a student here", "un (e) étudiant ici"),
        ("Paris, France", "Paris (França)"),
        ("Paris – France", "Paris (França)"),
        ("Paris - France", "Paris (França)"),
        ("We go to Paris.", "Vamos a Paris (França)"),
        ("Nous allons demain tous ensemble à Paris", "We all go to Paris (tomorrow)"),
        ("word" * 11, "word (s)"),
        ("note", "(nota)"),
    ],
)
def test_brackets_are_lost_nowhere_else(source: str, said: str) -> None:
    assert sober(source, said) == said


@pytest.mark.parametrize(
    ("source", "asked", "said", "text"),
    [
        ("Müller’s 10 “cats”", 'A1\'s 10 "cats"', '10 "gatos" de A1', "10 “gatos” de Müller"),
        ("PRESS {ok} NOW, Y’ALL", "Press A1 now, y'all", "Prima A1 já", "PRIMA {ok} JÁ"),
        ("ATÉ MAÇÃ, ŠKODA", "Até maçã, A1", "Hello, A1", "HELLO, ŠKODA"),
        (r"Don\'t \"go\"", 'Don\'t "go"', 'Não "vá" d\'água', r"Não \"vá\" d\'água"),
        (r"Don\'t go, Müller\'s", "Don't go, A1's", "Não A1's", r"Não Müller\'s"),
        ("Wait… now", "Wait... now", "Espera... já", "Espera… já"),
        ("Wait….", "Wait...", "Espera...", "Espera…"),
        ("Pages 5…10 here", "Pages 5...10 here", "Páginas 5...10 aqui", "Páginas 5…10 aqui"),
        ("USB", "USB", "USB", "USB"),
        ("AÇÃO!", "Ação!", "Action!", "ACTION!"),
        ("NÃO!", "não!", "no!", "NO!"),
        ("AÇÃO: fica {x}", "ação: fica A1", "action: A1 stays", "ACTION: {x} stays"),
        ("PLEASE NOTE: it is", "PLEASE NOTE: it is", "Nota: é", "NOTA: é"),
        ("NOTE: it is", "NOTE: it is", "Nota, é", "Nota, é"),
        ("TV: it is", "TV: it is", "Televisão: é", "Televisão: é"),
        ("Note: IT is", "Note: IT is", "Nota: é", "Nota: é"),
        ("A naïve piñata", "A naive pinata", "Uma pinata ingénua", "Uma piñata ingénua"),
        ("naïve, naive", "naive, naive", "naive, naive", "naïve, naive"),
        ("Set ñ up", "Set A1 up", "Usa A1 n", "Usa ñ n"),
        ("naïve, naive", "naive, naive", "naive", "naive"),
        ("Naïve sea ř–ø {a}ñ", "A1 sea A2", "A1 mar A2", "Naïve mar ř–ø {a}ñ"),
        ("Pay € 5 of §", "Pay A1 5 of A2", "Paga A1 5 de A2", "Paga € 5 de §"),
    ],
)
def test_a_sentence_goes_plain_and_comes_back_as_it_was(
    source: str, asked: str, said: str, text: str
) -> None:
    plan = SentencePlan(source, knows)
    assert plan.pending() == [asked]
    plan.feed([said])
    assert plan.text == text


@pytest.mark.parametrize(
    ("source", "said", "text"),
    [
        ("CANCEL", ["Cancelar"], "CANCELAR"),
        ("OPEN", ["Aberto", "OPEN"], "ABERTO"),
        ("TERMS:", ["Termos de serviço:", "TERMOS"], "TERMOS:"),
        ("UNESCO", ["da Unesco", "UNESCO"], "UNESCO"),
        ("ASAP", ["O Asap", "O mais"], "ASAP"),
        ("HOME", ["Página inicial", "A casa"], "PÁGINA INICIAL"),
        ("HOME", ["Página inicial", "PÁGIN"], "PÁGINA INICIAL"),
        ("NATO", ["Nato", "OTAN"], "OTAN"),
        ("AIDS!", ["Auxílios!", "SIDA!"], "SIDA!"),
        ("IVAN", ["Ivan", "VATN"], "IVAN"),
        ("BEIRUT", ["Beirut do", "EIBRUT"], "BEIRUT"),
        ("<b>NATO</b>", ["Nato", "OTAN"], "<b>OTAN</b>"),
    ],
)
def test_a_word_in_capitals_is_asked_for_both_ways(source: str, said: list[str], text: str) -> None:
    plan = SentencePlan(source, knows)
    word = source.removeprefix("<b>").removesuffix("</b>")
    for asked, answer in zip([word.capitalize(), word], said, strict=False):
        assert plan.pending() == [asked]
        plan.feed([answer])
    assert plan.text == text


@given(st.text(st.sampled_from("aüñ Ã’“”–-…@.,\u00ad\u200f#1({}"), max_size=30))
@example("’…ü")
@example("ñ,ñ–ñ")
def test_strange_words_survive_an_echo(source: str) -> None:
    out = run(source, str, knows)[0]
    assert (out.count("ü"), out.count("ñ")) == (source.count("ü"), source.count("ñ"))
