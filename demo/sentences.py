"""Sentences in the manner of AN4: spelled names, house numbers, phone numbers, dates, commands.

AN4 callers spell words letter by letter and read numbers aloud. The grammar below makes
sentences of those kinds from word lists of its own; no AN4 transcript is copied.
"""

import random
from collections.abc import Callable

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()
MONTHS = (
    "january february march april may june july august september october november december"
).split()
COMMANDS = "yes no go stop start help repeat enter erase rubout".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"

FIRST_NAMES = (
    "alice andrew angela anna anthony arthur barbara benjamin bernard bridget carla carol "
    "catherine cheryl claire colin craig cynthia dale deborah dennis diane doris douglas "
    "edgar eileen elaine emily ernest esther eugene felix fiona frank fred gary george gina "
    "gloria gordon grace greg harold hazel heather helen henry howard hugh ian irene isabel "
    "ivan jack jacob janet jason jay joan joel joyce judith keith kevin kurt kyle larry laura "
    "lawrence leo leslie lewis liam lois louis lucy luke lynn marcus margaret maria mark "
    "martha max megan melissa michelle mitchell molly nancy nathan neil norman olga oliver "
    "oscar pamela patrick paula peggy peter philip quentin rachel ralph raymond rebecca rex "
    "rita roger rosa roy russell ruth sally samuel sandra sean simon stella stephen steven "
    "susan sylvia teresa thomas timothy todd tony ursula valerie vera victor vincent virginia "
    "walter wanda wayne wendy william xavier yvonne zachary zoe"
).split()
LAST_NAMES = (
    "abbott adams ainsley atkins bailey barnes baxter beckett bishop bradley briggs brooks "
    "buchanan burke byrne callahan carver chapman clifford conrad cooper coyle crawford cruz "
    "dalton dawson dempsey dixon donovan doyle drake dunn eckert elliott ellis emerson evans "
    "ferguson finch fitzgerald fleming foster fox frazier fuchs gallagher garrison gibbs "
    "goldberg goodman graves griffin haas hale hammond hardy hawkins hayes hendrix herzog "
    "higgins hobbs hoffman holt houston hudson hughes ingram irwin jacobs jensen jimenez "
    "kaplan keller kimball klein knox kovacs kramer lambert larkin leblanc levy lindgren "
    "lockwood lopez lynch macdonald maxwell mcbride mckenzie mendoza meyer miller monroe "
    "moyer murphy nash navarro nguyen norris novak oakley obrien olson ortega osborne page "
    "palmer parrish payne perkins pfeiffer pierce pratt price quigley quinn ramirez rasmussen "
    "reilly rhodes ricci riggs rivera roth ruiz rutherford sanchez sawyer schmidt schultz "
    "sharp sheridan singh sloan spencer stanton stewart sutton swanson talbot tanner thornton "
    "tucker underwood urban valdez vance vaughn vogel wagner walsh warner watkins webb "
    "whitaker wilcox winters wolfe wong wyatt yates york zeller zimmerman"
).split()
PLACES = (
    "albany arlington ashwood atlanta aurora beechwood bellevue bigelow birch boston boulder "
    "bristol buffalo butler cambridge cedar center chester chestnut chicago clinton columbia "
    "dayton dearborn delaware denver dover eastwood elmwood erie euclid fairfax fairview fifth "
    "forbes franklin fremont glendale grant greenfield hamilton harrison hartford hazelwood "
    "hickory highland hillcrest jackson juniper kensington kirkland lakewood lancaster laurel "
    "lexington lincoln locust madison main maple marquette melrose milford monterey murray "
    "newport northfield norwood oakland orange oxford palisade parkway pennsylvania pine "
    "portland princeton quincy richmond ridge riverside rochester salem shady spruce squirrel "
    "summit sycamore toledo trenton tulsa union valley vernon victoria walnut washington "
    "wexford willow wilmington woodlawn yorkville"
).split()
STREET_KINDS = ("", "", "", "", " street", " road", " drive", " lane", " place", " court")

TRAINING_SEED = 20261123
"""Of the sentences that the acoustic model is trained on."""

MakeSentence = Callable[[], str]


def spell(text: str) -> str:
    """``"oak lane"`` → ``"o a k l a n e"``."""
    return " ".join(text.replace(" ", ""))


def digits(rng: random.Random, count: int) -> str:
    """``count`` digits, zero read as "zero" or "oh" throughout."""
    zero = rng.choice(("oh", "oh", "zero"))
    return " ".join(DIGITS[d] if d else zero for d in rng.choices(range(10), k=count))


def below_hundred(rng: random.Random) -> str:
    """A number from one to ninety nine in words."""
    value = rng.randint(1, 99)
    if value < 10:
        return DIGITS[value]
    if value < 20:
        return TEENS[value - 10]
    tens, ones = divmod(value, 10)
    return TENS[tens - 2] + (f" {DIGITS[ones]}" if ones else "")


def number(rng: random.Random) -> str:
    """A number as people read house numbers and quantities: several styles."""
    style = rng.random()
    if style < 0.35:
        return below_hundred(rng)
    if style < 0.65:
        return digits(rng, rng.randint(1, 4))
    if style < 0.85:
        return f"{below_hundred(rng)} {below_hundred(rng)}"
    if style < 0.93:
        return f"{DIGITS[rng.randint(1, 9)]} hundred and {below_hundred(rng)}"
    return f"{DIGITS[rng.randint(1, 9)]} thousand {DIGITS[rng.randint(1, 9)]} hundred"


def date(rng: random.Random) -> str:
    """A birthday, in words or as numbers."""
    year = f"{rng.choice(TENS[1:])} {DIGITS[rng.randint(1, 9)]}".removesuffix(" zero")
    if rng.random() < 0.5:
        return f"{number_of_month(rng)} {below_hundred(rng)} {year}"
    day = rng.choice((*ORDINALS, "twentieth", "thirtieth", "thirty first"))
    if rng.random() < 0.3:
        day = f"twenty {ORDINALS[rng.randint(0, 8)]}"
    return f"{rng.choice(MONTHS)} {day} nineteen {year}"


def number_of_month(rng: random.Random) -> str:
    """``"one"`` … ``"twelve"``."""
    return rng.choice((*DIGITS[1:], *TEENS[:3]))


def random_letters(rng: random.Random) -> str:
    """Two to seven letters, each equally likely."""
    return " ".join(rng.choices(LETTERS, k=rng.randint(2, 7)))


def sentence(rng: random.Random) -> str:
    """One sentence, lower case, letters and spaces only."""
    kinds: tuple[tuple[int, MakeSentence], ...] = (
        (4, lambda: spell(rng.choice(LAST_NAMES))),
        (3, lambda: spell(rng.choice(FIRST_NAMES))),
        (4, lambda: spell(rng.choice(PLACES) + rng.choice(STREET_KINDS))),
        (4, lambda: number(rng)),
        (3, lambda: digits(rng, rng.choice((5, 5, 7, 7, 10)))),
        (3, lambda: date(rng)),
        (2, lambda: rng.choice(COMMANDS)),
        (2, lambda: f"enter {number(rng)}"),
        (3, lambda: f"{rng.choice(('erase', 'rubout'))} {random_letters(rng)} {number(rng)}"),
        (4, lambda: f"{random_letters(rng)} {number(rng)}"),
    )
    make = rng.choices([make for _, make in kinds], weights=[w for w, _ in kinds])[0]
    return make()


def sentences(count: int, seed: int) -> list[str]:
    """``count`` sentences; the same for the same seed."""
    rng = random.Random(seed)
    return [sentence(rng) for _ in range(count)]
