"""Measure `luckygas.web.injection` on lists that others wrote; `tests/bench/detection` fetches them and runs this."""

import configparser
import random
import re
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from luckygas.web.injection import sign_in

FOUND_AT_LEAST, ALARMS_AT_MOST = 0.99, 0.001
# Lists hold more than attacks: comments, placeholders, single quotes and words that only together mean something.
NO_ATTACK = re.compile(
    r"""\W{0,12}|\W*[\w%]{1,18}\W{0,3}|exec [xs]p|\#.*|"""
    r"""\[[A-Z_]+\].*|.*(?:mail|objectclass)=\*.*|https?://[\w./]+|order by"""
)
CHANCE = random.Random(1)  # noqa: S311 - the same every time
FILLED = {
    "[SPACE]": " ", "[TAB]": "\t", "[LF]": "\n", "[FF]": "\f", "[NUL]": "\0", "[NULL]": "\0", "[VALUE]": "7",
    "[EXTVALUE]": "7", "[TIME]": "5", "[EXTERNAL_ENDPOINT]": "https://evil.example", "__XSS__": "w12345",
    "[SLEEPTIME]": "5",
    "[DELIMITER_START]": "qzxvq", "[DELIMITER_STOP]": "qkbpq", "[ORIGVALUE]": "1", "[ORIGINAL]": "1",
    "[INFERENCE]": "7=7", "[QUERY]": "(SELECT user)", "[GENERIC_SQL_COMMENT]": "-- x", "[SPACE_REPLACE]": " ",
    "[HASH_REPLACE]": "#", "[DOLLAR_REPLACE]": "$", "[AT_REPLACE]": "@", "[SLEEP]": "5", "[SINGLE_QUOTE]": "'",
    "[DOUBLE_QUOTE]": '"', "[BACKSLASH]": "\\",
}  # fmt: skip


def filled(text: str) -> str:
    """Return a payload with its placeholders filled in."""
    text = re.sub(r"\[RANDNUM\d?\]", lambda _: str(CHANCE.randint(1000, 9999)), text)
    text = re.sub(r"\[RANDSTR\d?\]", lambda _: "".join(CHANCE.choices("abcdXYZ", k=4)), text)
    for placeholder, value in FILLED.items():
        text = text.replace(placeholder, value)
    return text


def wapiti(lists: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each list of the scanner's payloads."""
    for name in ("xssPayloads", "blindSQLPayloads", "execPayloads", "fileHandlingPayloads", "xxePayloads"):
        parser = configparser.RawConfigParser(strict=False)
        parser.read(lists / f"wapitiCore/data/attacks/{name}.ini")
        sections = [*parser.sections(), "DEFAULT"]
        payloads = [parser.get(section, "payload") for section in sections if parser.has_option(section, "payload")]
        yield (
            f"wapiti {name}",
            [filled(line) for text in payloads for line in text.splitlines() if line not in {"", "None"}],
        )


def sqlmap(lists: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield sqlmap's payloads, each between eight of its boundaries."""
    folder = lists / "sqlmap/data/xml"
    boundaries = [
        (boundary.findtext("prefix") or "", boundary.findtext("suffix") or "")
        for boundary in ET.parse(folder / "boundaries.xml").getroot().iter("boundary")  # noqa: S314
    ]
    texts = []
    for path in sorted(folder.glob("payloads/*.xml")):
        for request in ET.parse(path).getroot().iter("request"):  # noqa: S314
            payload = request.findtext("payload") or "UNION ALL SELECT NULL,NULL,CHAR(113)"
            for prefix, suffix in CHANCE.sample(boundaries, 8):
                texts.append(filled(f"1{prefix} {payload}{request.findtext('comment') or ' ' + suffix}"))
    yield "sqlmap, payloads in boundaries", texts


def wfuzz(lists: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the lists of the fuzzer that hold attacks."""
    folder = lists / "usr/share/wfuzz/wordlist"
    for name in ("Injections/SQL", "Injections/XSS", "Injections/Traversal", "vulns/sql_inj", "vulns/dirTraversal"):
        if (path := folder / f"{name}.txt").exists():
            yield f"wfuzz {name}", path.read_text(encoding="utf-8", errors="replace").splitlines()


def prose(lists: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield what people write and are called."""
    sys.path.insert(0, str(lists))
    from faker import Faker  # noqa: PLC0415 - it came with the lists

    for locale in ("zh_TW", "en_US"):
        fake = Faker(locale, use_weighting=False)
        Faker.seed(3)
        makers = (fake.name, fake.address, fake.company, fake.email, fake.text, fake.user_agent)
        yield f"Faker {locale}", [make() for make in makers for _ in range(1500)]
    folder = lists / "usr/share/games/fortunes"
    # Jokes about computers quote shells and programs.
    names = [path for path in sorted(folder.glob("*")) if not path.suffix and path.is_file()]
    names = [
        path for path in names if path.name not in {"ascii-art", "computers", "debian", "knghtbrd", "linux", "perl"}
    ]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in names]
    yield "Debian's fortunes", [quote.strip() for text in texts for quote in text.split("\n%\n") if quote.strip()]


def measure(name: str, texts: list[str]) -> tuple[int, int]:
    """Print a line; return how many texts have a sign, and how many there are."""
    began = time.process_time()
    found = sum(sign_in(text) is not None for text in texts)
    micros = (time.process_time() - began) / max(1, len(texts)) * 1e6
    print(f"{name:32} {len(texts):7} {found:7} {found / max(1, len(texts)):9.3%} {micros:9.0f} µs")
    return found, len(texts)


def main() -> None:
    """Entry point: the lists are below the directory of the first argument."""
    lists = Path(sys.argv[1])
    print(f"{'list':32} {'texts':>7} {'found':>7} {'share':>9} {'CPU a text':>12}")
    rates = []
    for sources in ((wapiti, sqlmap, wfuzz), (prose,)):
        counts = [
            measure(name, [text for text in texts if source is prose or not NO_ATTACK.fullmatch(unquote(text).strip())])
            for source in sources
            for name, texts in source(lists)
        ]
        rates.append(sum(found for found, _ in counts) / sum(of for _, of in counts))
        print(f"{'together':32} {sum(of for _, of in counts):7} {'':7} {rates[-1]:9.3%}\n")
    if rates[0] < FOUND_AT_LEAST or rates[1] > ALARMS_AT_MOST:
        sys.exit(f"wanted: at least {FOUND_AT_LEAST:.0%} found, at most {ALARMS_AT_MOST:.1%} false alarms")


main()
