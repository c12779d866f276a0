"""The Universal Declaration of Human Rights in 388 translations, as pages and as files, from crawl to deduplication."""

from __future__ import annotations

import html
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Lake
from tasks.corpus.clean import CleanConfig, clean
from tasks.corpus.clean.languages import identify
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.dedup.stage import DedupConfig, dedup

# What the default filters take out, each for a reason of its own: translations that break off after the preamble, an
# empty one, words shorter or longer than English ones in languages that CLD2 does not know, Tigrinya without marks.
REMOVED = {
    **dict.fromkeys(["chr", "dzo", "khk_mong", "pbu", "taj", "tgl_tglg", "tzm_tfng"], "gopher_quality"),
    **dict.fromkeys(["ada", "chj", "cot", "cpu", "fon"], "gopher_quality"),
    "mcf": "gopher_repetition",
    "nku": "length",
    "tir": "fineweb",
}

# File names (ISO 639-3) to the codes that CLD2 gives.
SPOKEN = dict(  # noqa: C408 (half as long)
    afr="af", amh="am", arb="ar", bel="be", ben="bn", bod="bo", bul="bg", cat="ca", ces="cs", cmn_hans="zh",
    cmn_hant="zh", cym="cy", dan="da", deu="de", div="dv", ell_monotonic="el", eng="en", epo="eo", est="et", eus="eu",
    fin="fi", fra="fr", gle="ga", glg="gl", guj="gu", heb="he", hin="hi", hrv="hr", hun="hu", hye="hy", iii="ii",
    ind="id", isl="is", ita="it", jpn="ja", kan="kn", kat="ka", kaz="kk", khk="mn", khm="km", kin="rw", kor="ko",
    lao="lo", lat="la", lav="lv", lit="lt", mal="ml", mar="mr", mkd="mk", mlt="mt", mya="my", nep="ne", nld="nl",
    pan="pa", pes_1="fa", pol="pl", por_BR="pt", ron="ro", rus="ru", san="sa", slk="sk", slv="sl", som="so", spa="es",
    srp_cyrl="sr", swe="sv", swh="sw", tam="ta", tat="tt", tgk="tg", tha="th", tur="tr", uig_arab="ug", ukr="uk",
    urd="ur", uzn_latn="uz", vai="vai", vie="vi", ydd="yi", yor="yo", zul="zu",
)  # fmt: skip

# A sentence of the translation itself, and what an editor made of it.
EDITS = {
    "eng": ("without distinction of any kind", "without any kind of distinction"),
    "cmn_hans": ("法律之前人人平等", "人人在法律面前平等"),
    "jpn": ("すべて人は", "すべての人は"),
    "tha": ("ทุกคนมีสิทธิ", "ทุกๆคนมีสิทธิ"),
}

# Translations that are near-duplicates of another one: spellings, countries and dialects of one language.
TWINS = {"deu", "deu_1901", "hau_NE", "hau_NG", "kng", "kng_AO", "prq", "ron", "ron_1993"}


@pytest.fixture(scope="module")
def translations(tmp_path_factory) -> Path:
    """Each translation as a web page and as a text file, and four of them once more, lightly edited."""
    shared = Path(__file__).resolve().parents[5] / "shared" / "data"
    archive = shared / "07_text" / "nltk__nltk_data" / "packages" / "corpora" / "udhr2.zip"
    folder = tmp_path_factory.mktemp("udhr")
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            if not name.endswith(".txt"):
                continue
            body = file.read(name)
            stem, lines = Path(name).stem, body.decode().split("\n")
            (folder / f"{stem}.txt").write_bytes(body)
            paragraphs = "".join(f"<p>{html.escape(line.strip())}</p>\n" for line in lines[1:] if line.strip())
            page = f"<!doctype html><meta charset=utf-8><title>{stem}</title><main><h1>{html.escape(lines[0])}</h1>"
            (folder / f"{stem}.html").write_text(f"{page}\n{paragraphs}</main>", "utf-8")
            if stem in EDITS:
                before, after = EDITS[stem]
                assert before in body.decode(), stem
                (folder / f"{stem}-edited.txt").write_text(body.decode().replace(before, after, 1), "utf-8")
    return folder


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.shared
def test_every_translation_is_extracted_identified_and_deduplicated(translations, tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    crawled = crawl.build(lake, CrawlConfig(paths=(str(translations),)), {}).artifact
    cleaned = clean.build(lake, CleanConfig(), {"pages": crawled}).artifact
    documents, removed = rows(cleaned.path / "documents"), rows(cleaned.path / "removed")
    pages = {path.name for path in translations.iterdir() if path.stat().st_size}

    # nothing is lost: every file is a document or a removal with a reason
    assert {row["source"] for row in documents} | {row["source"] for row in removed} == pages
    assert len(documents) + len(removed) == len(pages)
    for row in removed:
        stem = row["source"].partition(".")[0]
        assert REMOVED.get(stem) == row["reason"], (row["source"], row["reason"], row["detail"], row["value"])
    assert len(documents) > 740

    # the page says what the file says
    texts = {row["source"]: row["text"] for row in documents}
    for name, text in texts.items():
        if name.endswith(".html"):
            file = texts[name.replace(".html", ".txt")]
            assert "".join(text.split()) == "".join(file.split()), name

    languages = {row["source"]: (row["language"], row["language_score"]) for row in documents}
    wrong = {
        name: languages[name]
        for stem, code in SPOKEN.items()
        for name in (f"{stem}.html", f"{stem}.txt")
        if name in languages and languages[name][0] != code
    }
    assert wrong == {}
    assert all(0 < score <= 1 for code, score in languages.values() if code)

    kept = {
        row["source"]
        for row in rows(dedup.build(lake, DedupConfig(), {"documents": cleaned}).artifact.path / "documents")
    }
    stems = {name.partition(".")[0].removesuffix("-edited") for name in texts}
    survivors = {name.partition(".")[0].removesuffix("-edited") for name in kept}
    # page and file of a translation are duplicates, and the edited ones are near-duplicates in every script
    assert len(kept) <= len(stems)
    for stem in EDITS:
        assert sum(name.partition(".")[0].removesuffix("-edited") == stem for name in kept) == 1, stem
    assert stems - survivors <= TWINS, stems - survivors


@pytest.mark.shared
def test_short_passages_and_mixed_pages(translations):
    """A paragraph is enough for languages with a script of their own; a page in two languages has both."""
    text = {stem: (translations / f"{stem}.txt").read_text("utf-8") for stem in ("eng", "deu", "tha", "jpn", "kor")}
    for stem, code in (("tha", "th"), ("jpn", "ja"), ("kor", "ko")):
        assert identify(text[stem][200:240]).code == code
    mixed = identify(text["eng"][:4000] + "\n\n" + text["deu"][:2000])
    assert mixed.code == "en"
    assert 0.5 < mixed.score < 0.8
    assert mixed.share(("en", "de")) > 0.9
