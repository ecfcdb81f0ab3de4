"""Words whose full stop does not end a sentence, by language.

`INSIDE`: a name, number or clause follows (`Dr. Who`, `e.g. tea`), so never an end.
`EITHER`: at home inside and at the end (`etc.`, `p.m.`); an end when a capital follows.
Entries are lower case without the last stop. A language adds to the common entries under "".
"""

from functools import cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


INSIDE = {
    "": _words(
        """mr mrs ms dr prof st rev gen col capt lt sgt hon sen rep gov pres messrs mme mlle
        no nos nr fig figs vol vols ed eds art sec chap ch cap p pp pg e.g i.e cf vs viz ca
        approx est tel ext v op cit al sr sra srta dra dna"""
    ),
    "en": _words(
        """jan feb mar apr jun jul aug sep sept oct nov dec mt ft ave blvd rd dept gen maj cpl
        resp incl excl esp"""
    ),
    "pt": _words(
        """sr sra srta srs sras dr dra drs profa d dom exmo exma ilmo ilma v.exa v.sa av r trav
        al pça pç n nº núm pág págs p.ex ex fl fls inc par séc eng engª arq adv sto sta cel ten
        maj brig c.f obs jan fev mar abr mai jun jul ago set out nov dez ref aprox máx mín"""
    ),
    "es": _words(
        """sr sra srta srs sres sras dr dra d dña ud uds vd vds av avda c núm n pág págs p.ej
        ej fig gral cap tte lic ing arq prov aprox máx mín"""
    ),
    "fr": _words(
        """m mm mme mmes mlle mlles me dr pr st ste av bd boul art chap p pp p.ex ex env fig
        janv févr avr juil sept oct nov déc n° réf"""
    ),
    "de": _words(
        """hr fr frl dr prof dipl ing str nr bd hrsg abb abs art kap s z.b d.h u.a i.d.r v.a
        z.t bzw ca evtl ggf inkl exkl insb max min mind vgl sog st tel jan feb mär apr jun jul
        aug sep sept okt nov dez"""
    ),
    "it": _words(
        """sig sigg sig.ra sig.na dott dott.ssa prof prof.ssa ing avv arch geom pag pagg n art
        cfr es p.es v.le p.zza"""
    ),
}
EITHER = {
    "": _words("etc inc ltd co corp jr sr a.m p.m am pm llc bros"),
    "pt": _words("ltda cia s.a d.c a.c"),
    "es": _words("ee.uu s.a d.c a.c"),
    "fr": _words("s.a cie av.j.-c apr.j.-c"),
    "de": _words("usw usf u.s.w gmbh n.chr v.chr"),
    "it": _words("ecc s.p.a s.r.l"),
}
ORDINAL_STOP = _words("de da nb nn no fi cs sk pl hu hr sr sl et lv is tr fo")
"""Languages that write an ordinal as a number with a stop: `am 3. Oktober`."""


BEFORE_NUMBER = _words("no art sec set max est op ago fig par out")
"""Abbreviations that are words as well: only a number after them tells."""


@cache
def inside(language: str) -> frozenset[str]:
    """Return the abbreviations of `language` (a primary subtag) that never end a sentence."""
    return (INSIDE[""] | INSIDE.get(language, frozenset())) - either(language)


@cache
def either(language: str) -> frozenset[str]:
    """Return the abbreviations of `language` that may end a sentence."""
    titles = INSIDE.get(language, frozenset())
    return (EITHER[""] - titles) | EITHER.get(language, frozenset())
