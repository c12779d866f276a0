"""Personal data: what is found, what is left alone, precision and recall on labelled sentences, and hostile texts.

Also covers: tasks/corpus/clean/national_ids.py
Also covers: tasks/corpus/clean/text_config.py
"""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.clean.national_ids import FORMATS
from tasks.corpus.clean.pii import Redactor
from tasks.corpus.clean.text_config import PiiConfig

EVERY = PiiConfig(types=("email", "phone", "ip", "credit_card", "iban", "national_id"))
ALL = Redactor(EVERY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jane.doe+news@mail.example.org.", "write to <EMAIL>."),
        ("mail:müller@bücher.example, today", "mail:<EMAIL>, today"),
        ("call +49 30 901820 or (212) 555-0173", "call <PHONE> or <PHONE>"),
        ("Tel. 030/901820, Fax 030-901821", "Tel. <PHONE>, Fax <PHONE>"),
        ("電話 03-3581-0141 です", "電話 <PHONE> です"),
        ("reach us at 1-800-356-9377 x12", "reach us at <PHONE>"),
        ("from 8.8.8.8 and 2001:4860:4860::8888", "from <IP> and <IP>"),
        ("card 4111 1111 1111 1111, Amex 3782-822463-10005", "card <CREDIT_CARD>, Amex <CREDIT_CARD>"),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFF", "IBAN <IBAN> BIC COBADEFF"),
        ("GB29NWBK60161331926819", "<IBAN>"),
        ("de89 3704 0044 0532 0130 00 und mehr", "<IBAN> und mehr"),
        ("iban:DE89-3704-0044-0532-0130-00.", "iban:<IBAN>."),
        ("Maestro 501800000009", "Maestro <CREDIT_CARD>"),
        ("carte bancaire : 2131 0000 0000 001", "carte bancaire : <CREDIT_CARD>"),
        ("Kreditkarte 180000000000002", "Kreditkarte <CREDIT_CARD>"),
        ("5.9.12.44 - - [10/Oct/2000:13:55:36]", "<IP> - - [10/Oct/2000:13:55:36]"),
        ("http://5.9.12.44/index", "http://<IP>/index"),
        ("5.9.12.44-5.9.12.60", "<IP>-<IP>"),
        ("credit card 4111–1111–1111–1111", "credit card <CREDIT_CARD>"),
        ("visa: 4111.1111.1111.1111", "visa: <CREDIT_CARD>"),
        ("SSN 536-90-4399.", "SSN <NATIONAL_ID>."),
    ],
)
def test_what_is_found(text, expected):
    assert ALL.redact(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "192.168.0.1, 127.0.0.1, 10.1.2.3 and 255.255.255.0 are private",
        "a::b, std::vector, 12:30:45 and [::2]",
        "card 4111 1111 1111 1112 has a wrong check digit",
        "IBAN DE89 3704 0044 0532 0130 01 has wrong ones as well",
        "on 2024-01-15, 15.01.2024, 01/15/2024 and in 1998-2004",
        "ISBN 978-3-16-148410-0 and doi 10.1000/182",
        "'+3.140000; -3.140000' and +12.3456789",
        "3.14159265358979 or 1,234,567,890 or 1 000 000 000",
        "Python 3.11.7, version 1.2.3.4.5",
        "section 4.1.2.4 and 5.1.2.6, § 4.1.2.4, Kapitel 2.1.3.1, chapter 10.2.33.4.",
        "versions 8.8.8.8, 8.8.8.9 and 8.8.9.1; upgrade from v8.8.8.8 to 8.8.9.2",
        "Chrome/120.0.99.109 Safari/537.36",
        "4.1.2.4 Overview of the mill",
        "part number 501800000009 and order 213100000000001",
        "matrix 1 0 0 0 1 0 0 0 1 and 0x7f3a2b1c",
        "logo@2x.png and the enzyme EC 3.4.21.4",
        "user@host and @decorator and a @ b",
        "SSN 000-12-3456 was never given out",
    ],
)
def test_what_is_left_alone(text):
    assert ALL.redact(text) == (text, Counter())


def test_options():
    text = "10.0.0.1 a@b.example 020 7946 0958"
    assert Redactor(PiiConfig(types=("ip",), public_ips_only=False)).redact(text)[0].startswith("<IP> a@b.example")
    assert Redactor(PiiConfig(phone_regions=("GB",))).redact("Ring 020 7946 0958!")[0] == "Ring <PHONE>!"
    assert Redactor(PiiConfig(types=())).redact(text) == (text, Counter())
    for settings_ in ({"phone_regions": ("Germany",)}, {"national_ids": ("xx.none",)}, {"types": ("name",)}):
        with pytest.raises(ValueError, match=r"not a country|not a national id|Input should be"):
            PiiConfig(**settings_)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("us.ssn", "536-90-4399"), ("us.itin", "912-90-3456"), ("br.cpf", "390.533.447-05"), ("ca.sin", "123-456-782"),
        ("cn.ric", "360426199101010071"), ("de.idnr", "36 574 261 809"), ("es.dni", "54362315K"),
        ("es.nie", "X-2482300W"), ("fr.nir", "2 95 10 99 126 111 93"), ("gb.nhs", "943 476 5870"),
        ("in.aadhaar", "2341 2341 2346"), ("it.codicefiscale", "RCCMNL83S18D969H"), ("kr.rrn", "971013-9019902"),
        ("nl.bsn", "1112.22.333"), ("pl.pesel", "44051401359"), ("se.personnummer", "880320-0016"),
    ],
)  # fmt: skip
def test_national_ids(name, number):
    redactor = Redactor(PiiConfig(types=("national_id",), national_ids=(name,)))
    assert redactor.redact(f"number {number}, said he")[0] == "number <NATIONAL_ID>, said he"


def test_every_national_id_can_be_asked_for():
    assert Redactor(PiiConfig(types=("national_id",), national_ids=tuple(FORMATS))).redact("none")[0] == "none"


@pytest.mark.shared
def test_precision_and_recall_on_labelled_sentences(shared_data, capsys):
    """Presidio's generated sentences: 29 spans of the kinds that textmill knows, exact borders asked."""
    path = shared_data / "12_cleaning_extras/microsoft__presidio-research/tests/data/generated_small.json"
    kinds = {"PHONE_NUMBER": "phone", "CREDIT_CARD": "credit_card", "EMAIL_ADDRESS": "email", "US_SSN": "national_id",
             "IP_ADDRESS": "ip", "IBAN_CODE": "iban"}  # fmt: skip
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    truth: Counter[str] = Counter()
    for item in json.loads(path.read_text("utf-8")):
        gold = {
            (span["start_position"], span["end_position"], kinds[span["entity_type"]])
            for span in item["spans"]
            if span["entity_type"] in kinds
        }
        found = set(ALL.find(item["full_text"]))
        for counter, spans in ((right, gold & found), (said, found), (truth, gold)):
            counter.update(kind for *_, kind in spans)
    with capsys.disabled():
        print("\nkind          spans  precision  recall")
        for kind in sorted(truth):
            print(f"{kind:12} {truth[kind]:6} {right[kind] / said[kind]:10.3f} {right[kind] / truth[kind]:7.3f}")
    assert sum(truth.values()) == 27
    assert right.total() / said.total() >= 0.97
    assert right.total() / truth.total() >= 0.97


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text("+()-. 0123456789@:abcdefxEDGB\n\u00a0é中", max_size=120) | st.text(max_size=80))
def test_redaction_is_stable_and_leaves_the_rest(text):
    redacted, counts = ALL.redact(text)
    assert ALL.redact(redacted)[0].count("<") >= redacted.count("<")
    found = ALL.find(text)
    assert counts.total() == len(found)
    position = 0
    rest = redacted
    for begin, end, kind in found:
        assert begin >= position
        kept = text[position:begin]
        assert rest.startswith(kept + f"<{kind.upper()}>")
        rest = rest[len(kept) + len(kind) + 2 :]
        position = end
    assert rest == text[position:]
    assert ALL.redact(redacted) == (redacted, Counter())


HOSTILE = {
    "digits": "1", "digit blank": "1 ", "dots": "1.", "colons": "a:", "at": "a@", "local": "a.", "hyphen": "1-",
    "capitals": "DE12", "groups": "DE12 ABCD ", "brackets": "(1", "plus": "+1", "cards": "4111 ", "labels": "a@b.",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_the_time_is_linear_in_hostile_texts(name):
    def seconds(count: int) -> float:
        text = (HOSTILE[name] * count)[:count]
        started = time.process_time()
        ALL.find(text)
        return time.process_time() - started

    seconds(1000)
    small, large = min(seconds(20_000) for _ in range(3)), seconds(200_000)
    assert large < 40 * max(small, 0.005), f"{small:.3f} s for 20,000 characters, {large:.3f} s for 200,000"
