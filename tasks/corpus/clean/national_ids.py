"""National identity numbers that clean can redact: how each is written, and the module that checks its digits.

The checks are python-stdnum's. A number without check digits (the US one) must be written in its usual groups.
"""

from __future__ import annotations

FORMATS: dict[str, tuple[str, str]] = {
    "us.ssn": ("stdnum.us.ssn", r"\d{3}[- ]\d{2}[- ]\d{4}"),
    "us.itin": ("stdnum.us.itin", r"9\d{2}[- ]\d{2}[- ]\d{4}"),
    "br.cpf": ("stdnum.br.cpf", r"\d{3}\.\d{3}\.\d{3}-\d{2}"),
    "ca.sin": ("stdnum.ca.sin", r"\d{3}[- ]\d{3}[- ]\d{3}"),
    "cn.ric": ("stdnum.cn.ric", r"\d{17}[\dXx]"),
    "de.idnr": ("stdnum.de.idnr", r"\d{2} ?\d{3} ?\d{3} ?\d{3}"),
    "es.dni": ("stdnum.es.dni", r"\d{8}-?[A-Z]"),
    "es.nie": ("stdnum.es.nie", r"[XYZ]-?\d{7}-?[A-Z]"),
    "fr.nir": ("stdnum.fr.nir", r"[12] ?\d{2} ?\d{2} ?\d{2} ?\d{3} ?\d{3} ?\d{2}"),
    "gb.nhs": ("stdnum.gb.nhs", r"\d{3}[- ]\d{3}[- ]\d{4}"),
    "in.aadhaar": ("stdnum.in_.aadhaar", r"[2-9]\d{3} ?\d{4} ?\d{4}"),
    "it.codicefiscale": ("stdnum.it.codicefiscale", r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]"),
    "kr.rrn": ("stdnum.kr.rrn", r"\d{6}-\d{7}"),
    "nl.bsn": ("stdnum.nl.bsn", r"\d{4}\.\d{2}\.\d{3}"),
    "pl.pesel": ("stdnum.pl.pesel", r"\d{11}"),
    "se.personnummer": ("stdnum.se.personnummer", r"(?:19|20)?\d{6}[-+]\d{4}"),
}
"""From the name in recipes to the python-stdnum module that checks the id and the regular expression that finds it."""
