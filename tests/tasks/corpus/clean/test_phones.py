"""Phone numbers: what a word, a plus or a region makes one, and what is none."""

from __future__ import annotations

import pytest

from tasks.corpus.clean.pii import Redactor
from tasks.corpus.clean.text_config import PiiConfig

AMERICAN = Redactor(PiiConfig())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # it begins like a date, but a word says what it is
        ("Tél. : 01.84.17.61.18", "Tél. : <PHONE>"),
        ("Call me at 06.12.34.56.78 after noon", "Call me at <PHONE> after noon"),
        ("Τηλ.: 01.02.2024.55", "Τηλ.: <PHONE>"),
        # no blank behind the colon, and no rest
        ("Phone:415-555-2671", "Phone:<PHONE>"),
        ("tel:+1-415-555-2671", "tel:<PHONE>"),
        ("Tel:(415) 555-2671", "Tel:<PHONE>"),
        ("Tel.030/1234567", "Tel.<PHONE>"),
        ("电话010-12345678", "电话<PHONE>"),
        ("電話03-3581-0141です", "電話<PHONE>です"),
        ("电话：13812345678", "电话：<PHONE>"),
        ("Tel.:030 1234567, Fon:030-1234568", "Tel.:<PHONE>, Fon:<PHONE>"),
        ("(Tel.:+49 30 1234567)", "(Tel.:<PHONE>)"),
        ("TEL（03）1234-5678", "TEL<PHONE>"),
        ("電話：０３－１２３４－５６７８", "電話：<PHONE>"),
        ("+33\u202f1\u202f23\u202f45\u202f67\u202f89 or +1−415−555−2671", "<PHONE> or <PHONE>"),
        ("Phone: 415 555 2671, ext. 123", "Phone: <PHONE>"),
        ("tel:+1-201-555-0123;ext=4", "tel:<PHONE>"),
        ("https://wa.me/14155552671", "https://wa.me/<PHONE>"),
        # the word on the line above
        ("Phone:\n415 555 2671", "Phone:\n<PHONE>"),
        ("Telefon\n\n  030 901820\nFax\n• 030 901821", "Telefon\n\n  <PHONE>\nFax\n• <PHONE>"),
        # words of many languages
        ("Телефон: 8 495 123-45-67", "Телефон: <PHONE>"),
        ("Puhelin 040 123 4567", "Puhelin <PHONE>"),
        ("Móvil: 612 345 678", "Móvil: <PHONE>"),
        ("Komórka: 571 481 749", "Komórka: <PHONE>"),
        ("Handynummer: 0171 1234567", "Handynummer: <PHONE>"),
        ("전화번호: 02-123-4567", "전화번호: <PHONE>"),
        ("โทร 02-123-4567", "โทร <PHONE>"),
        ("טלפון: 03-1234567", "טלפון: <PHONE>"),
        ("फ़ोन: 011-12345678", "फ़ोन: <PHONE>"),
        # how people write of their numbers
        ("P: 041-412-293\nF: 041-412-294", "P: <PHONE>\nF: <PHONE>"),
        ("My number is 0171 1234567.", "My number is <PHONE>."),
        ("Please send the verification code to 17138890333", "Please send the verification code to <PHONE>"),
        ("Is 954 071 215 your number?", "Is <PHONE> your number?"),
        ("69 987 88 37 office", "<PHONE> office"),
        ("Tel: (030) 1234567 (030) 7654321", "Tel: <PHONE> <PHONE>"),
        ("Tel: 01 23 45 67 89 - 06 12 34 56 78", "Tel: <PHONE> - <PHONE>"),
        ("(tel: +49 (0)30 901820)", "(tel: <PHONE>)"),
        ("☎ 030 901820, 📞 06-9639 3775", "☎ <PHONE>, 📞 <PHONE>"),
        ("t: 030 901820 | f. 030 901821", "t: <PHONE> | f. <PHONE>"),
        ("Mon numéro est le 02 18 53 27 83", "Mon numéro est le <PHONE>"),
        ("Мой номер 8 495 123-45-67", "Мой номер <PHONE>"),
        ("Contact John Smith (01 2345 6789) for details", "Contact John Smith (<PHONE>) for details"),
        ("Tel. 030 901820, the new one from May on is 030 901821", "Tel. <PHONE>, the new one from May on is <PHONE>"),
    ],
)
def test_what_a_word_says(text, expected):
    assert AMERICAN.redact(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "Released on 01.02.2024 and again on 03.04.2025",
        "Version 10.12.34.56 of 2024-05-06",
        "The score was 60-56, then 85-91",
        "Tel. 01.02.2024, phone released on 2024-05-06, call of 12/05/2024, fax 1999-2004",
        "order number 415-555-2671, ref. 902-704-1664, case no. 212-555-0187",
        "phones sold: 1.234.567, mobile users 12 345 678",
        "The portable drive stores 2400 / 200 = 12 units; each phone costs $3000 - $2800",
        "hotel 12345678, model 4155552671, telegraph 1 234 567",
        "The cellar holds 3600-1200 bottles",
        "Company No. 3676192 | VAT No: GB 716 6328 31 | Phones and more",
        "at work 1990-1995 and 2001-2004",
        "12:30 415 and 12:34567890",
        "1 2 3 4 5 6 7 8 9 10",
        "call setRange(1000000, 2000000) and f(4155552671)",
        "casa: 1.500.000 €, sales: 1 234 567, mobile: 1234567 euros",
        "v 93.184.216.34",
        '"aix-6107-1415-32" for AIX 6.1, call aix-6107-1415-32, bug/415-555-2671, foo.415-555-2671',
    ],
)
def test_what_is_none(text):
    assert AMERICAN.redact(text)[0] == text


@pytest.mark.parametrize(
    ("number", "region", "whether"),
    [
        ("030 901820", "DE", True),
        ("030 901820", "US", False),
        ("01.84.17.61.18", "FR", True),
        ("212-555-0187", "US", True),
    ],
)
def test_without_a_word_the_regions_decide(number, region, whether):
    found = Redactor(PiiConfig(phone_regions=(region,))).redact(f"Write or {number}, please")[0]
    assert found == ("Write or <PHONE>, please" if whether else f"Write or {number}, please")
