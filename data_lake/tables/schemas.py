"""The Parquet schemas of the lake: what a page, a record, a document, a removal and a duplicate look like.

Importing this module imports pyarrow (0.2 s), so stages import it inside their functions.
The Parquet writer checks fields that are not nullable: a null there is an error, not a row.
"""

from __future__ import annotations

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


RIGHTS = pa.struct(
    [
        pa.field("train", pa.string()),  # "deny" if any statement says no, else "allow" if one says yes, else "unknown"
        pa.field(
            "said",
            pa.list_(
                pa.struct(
                    [
                        pa.field("protocol", pa.string()),  # as `crawl.honour` names it
                        pa.field("train", pa.string()),  # what this one says: "deny", "allow", "unknown"
                        pa.field("where", pa.string()),  # URL of a robots.txt or feed, "header", "page", ...
                        pa.field("words", pa.string()),  # the statement itself
                        pa.field("at", TIMESTAMP),  # when they were read
                    ]
                )
            ),
        ),
    ]
)
"""What was said about training on a page; an empty `said` means that nothing was. See docs/opt-outs.md."""

PAGES = pa.schema(
    [
        _required("url", pa.string()),  # canonical URL; of a file's record: file path # record
        _required("source", pa.string()),  # host of a page, relative path of a file
        _required("reason", pa.string()),  # "fetched", "unchanged", or why there is no page ("robots", "http_404", ...)
        pa.field("detail", pa.string()),  # a sentence if one is needed (an exception, a redirect's target)
        pa.field("status", pa.int32()),  # HTTP status; null if there was no response
        pa.field("mime", pa.string()),
        # sha256 hex of the body after `digest_ignore`; for a record, of its id, title and charset too
        pa.field("payload_digest", pa.string()),
        _required("n_bytes", pa.int64()),  # decoded body
        pa.field("fetched_at", TIMESTAMP),  # when this payload was first seen; for a record in a file, its own date
        pa.field("file", pa.string()),  # WARC or record file inside the artifact
        pa.field("offset", pa.int64()),  # of the response record in `file`, or the row number number
        pa.field("length", pa.int64()),  # bytes of that record; null for rows
        pa.field("depth", pa.int32()),  # links from a seed
        pa.field("etag", pa.string()),
        pa.field("last_modified", pa.string()),
        pa.field("rights", RIGHTS),  # null if nothing was asked: a record of a file that says nothing itself
    ]
)
"""One row for each URL or file record that a crawl met, kept or not."""

RECORDS = pa.schema(
    [
        _required("record_id", pa.string()),  # the record's own id, or empty
        pa.field("url", pa.string()),
        _required("source", pa.string()),
        pa.field("fetched_at", TIMESTAMP),
        pa.field("title", pa.string()),
        _required("mime", pa.string()),
        pa.field("charset", pa.string()),  # declared; null = detect
        _required("content", pa.large_binary()),
    ]
)
"""Documents that came from files and not over HTTP, before cleaning."""

DOCUMENTS = pa.schema(
    [
        _required("doc_id", pa.string()),  # data_lake.tables.documents.doc_id: 16 hex digits
        pa.field("url", pa.string()),
        _required("source", pa.string()),
        pa.field("fetched_at", TIMESTAMP),
        pa.field("title", pa.string()),
        pa.field("language", pa.string()),  # ISO 639-1 where there is one, else 639-3; null = not identified
        pa.field("language_score", pa.float64()),  # the identifier's confidence, 0 to 1
        pa.field("author", pa.string()),
        pa.field("date", pa.string()),  # when the page says it was published: ISO 8601, as precise as given
        pa.field("licence", pa.string()),  # the link that the page marks as its licence
        pa.field("canonical_url", pa.string()),  # the URL that the page gives itself; `url` is where it was fetched
        pa.field("rights", RIGHTS),  # as in `pages`; null if nothing was asked
        pa.field("quality", pa.float64()),  # probability by a trained quality classifier; null = none used
        _required("text", pa.large_string()),
        _required("n_bytes", pa.int64()),  # len(text) in UTF-8
    ]
)
"""Documents as clean, dedup and decontaminate read them, and as the first two write them."""

CORPUS = DOCUMENTS.append(_required("split", pa.string()))  # "train", "val", "test"
"""Documents as decontaminate writes them for all that learns or measures: nothing may be learned but "train"."""

PAIRS = pa.schema(
    [
        _required("source", pa.large_string()),  # what is read
        _required("target", pa.large_string()),  # what is written for it
        _required("split", pa.string()),  # "train" or "val"; equal sources have the same
        _required("place", pa.string()),  # file#row that it came from
    ]
)
"""Pairs of texts, one to learn from in each row."""

PREFERENCES = pa.schema(
    [
        _required("split", pa.string()),  # "train" or "val"; equal prompts have the same
        _required("place", pa.string()),  # file:line, file#row or url#number that it came from
        _required("instruction", pa.large_string()),
        _required("input", pa.large_string()),  # the text that the instruction is about, or empty
        _required("system", pa.large_string()),
        _required("history", pa.large_string()),  # JSON: earlier turns, [[user, assistant], …]
        _required("chosen", pa.large_string()),  # the better answer
        _required("rejected", pa.large_string()),  # the worse one
        pa.field("margin", pa.float64()),  # how much better it was said to be; null = nothing was said
    ]
)
"""Pairs of answers to one prompt, of which one is better."""

REFERENCE_LOG_PROBS = pa.schema(
    [
        _required("row", pa.int64()),  # of the pair in preferences.parquet, counted from 0
        _required("chosen", pa.float64()),  # log-probability of the better answer, in nats, summed over its tokens
        _required("rejected", pa.float64()),
        _required("other", pa.float64()),  # of another pair's better answer to this prompt
    ]
)
"""How likely a model finds the answers of preference pairs."""

REMOVED = pa.schema(
    [
        pa.field("doc_id", pa.string()),
        pa.field("url", pa.string()),
        _required("source", pa.string()),
        _required("reason", pa.string()),
        pa.field("value", pa.float64()),  # what was measured ...
        pa.field("threshold", pa.float64()),  # ... and the limit that it crossed
        pa.field("detail", pa.string()),
        pa.field("text", pa.large_string()),  # a sample, cut by the stage
        _required("n_bytes", pa.int64()),  # of the whole input, as the stage's ledger counts it
    ]
)
"""Documents that a stage removed, each with its reason."""

DUPLICATES = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("partner_id", pa.string()),  # the document that doc_id was compared with; the preferred one
        _required("method", pa.string()),  # "url", "exact", "minhash"
        _required("score", pa.float64()),  # true Jaccard similarity; 1 for url and exact
        _required("removed", pa.bool_()),  # doc_id was removed because of this partner
        pa.field("cluster_id", pa.string()),  # the one kept of all similar documents; null = no duplicates
        pa.field("url", pa.string()),
        pa.field("partner_url", pa.string()),
    ]
)
"""Every pair that a deduplication compared, confirmed or not, with its score and its cluster."""

CONTAMINATION = pa.schema(
    [
        _required("benchmark", pa.string()),
        _required("item", pa.string()),  # the item's name within its benchmark: line of the file, or subject/row
        _required("doc_id", pa.string()),
        pa.field("url", pa.string()),
        _required("source", pa.string()),
        _required("split", pa.string()),  # of the document; only what is in "train" can be learned
        _required("text", pa.large_string()),  # the longest passage that the two share, as written in the document
        _required("words", pa.int32()),  # how many words that passage has
        _required("fraction", pa.float64()),  # of the item's n-grams that are in this document
        _required("action", pa.string()),  # "reported", "cut", "dropped"
    ]
)
"""Passages of documents that also occur in a benchmark's items, one row for each passage and item."""

PREDICTIONS = pa.schema(
    [
        _required("model", pa.string()),  # the artifact that was asked: stage/key
        _required("benchmark", pa.string()),  # as in results.json
        _required("item", pa.int32()),  # its number among the items that were chosen
        _required("subject", pa.string()),
        _required("context", pa.string()),  # the whole prompt of the first choice, with its shots
        _required("choices", pa.list_(pa.string())),
        pa.field("gold", pa.int32()),  # the place of the (first) right choice
        _required("log_likelihoods", pa.list_(pa.float64())),  # nats, one for each choice; none if a text was generated
        pa.field("answer", pa.string()),  # the likeliest choice, or the generated text
        pa.field("reference", pa.string()),  # the right choice, or the text that was wanted
        pa.field("score", pa.float64()),  # of the benchmark's main metric, if it is a mean over items
        pa.field("correct", pa.bool_()),  # by acc
        pa.field("correct_norm", pa.bool_()),  # by acc_norm
        pa.field("correct_bytes", pa.bool_()),  # by acc_bytes
        _required("tokens", pa.int32()),  # that the model read, of all choices
        _required("tokens_cut", pa.int32()),  # from the beginning of the prompt
        _required("truncated", pa.bool_()),  # tokens_cut > 0
        _required("contaminated", pa.bool_()),  # enough of its n-grams are in training text
        _required("found_in_training", pa.float64()),  # the share of its n-grams found there
    ]
)
"""Every item of every benchmark that a model was asked, with what it answered."""

JUDGEMENTS = pa.schema(
    [
        _required("place", pa.string()),  # file and number of the instruction
        _required("instruction", pa.string()),
        _required("expected", pa.string()),
        _required("answer", pa.string()),  # of the model that is judged
        _required("ended", pa.bool_()),  # the model ended the answer itself
        _required("tokens_left_out", pa.int64()),  # of the prompt, which was too long for the context
        _required("score_key", pa.string()),  # sha256 of the question for the judge
        pa.field("score_words", pa.string()),  # what the judge wrote
        pa.field("score_failure", pa.string()),  # why there is no score
        pa.field("against_answer", pa.string()),  # of the model that it is compared with
        pa.field("first_key", pa.string()),
        pa.field("first_words", pa.string()),
        pa.field("second_key", pa.string()),
        pa.field("second_words", pa.string()),
        pa.field("verdict", pa.string()),  # "win", "tie", "loss"
        pa.field("pair_failure", pa.string()),
        pa.field("score", pa.float64()),  # 0 to 100
    ]
)
"""Every instruction that a model was judged on, with its answer and what the judge said of it."""

PASSAGES = pa.schema(
    [
        _required("split", pa.string()),  # "train" was learned, "test" was held out
        _required("in_training", pa.int64()),  # how often the passage stands in the training text
        _required("group", pa.string()),  # the same, as a range
        _required("prefix", pa.string()),  # what the model was given
        _required("text", pa.string()),  # how it goes on
        _required("written", pa.string()),  # how the model went on
        _required("matching_tokens", pa.int64()),  # until the first that differs
        _required("memorised", pa.bool_()),  # all tokens match
    ]
)
"""Every passage that a model was asked to continue word for word."""

CONTINUATIONS = pa.schema(
    [
        _required("prompt", pa.int32()),  # its number among the prompts that were chosen
        _required("place", pa.string()),  # file and row of the prompt, or the id of its document
        _required("context", pa.string()),
        _required("number", pa.int32()),  # which of the texts for this prompt
        _required("text", pa.string()),  # what the model wrote
        pa.field("score", pa.float64()),  # of the classifier; none where nothing was written
        _required("truncated", pa.bool_()),  # the prompt lost its beginning
    ]
)
"""Every text that a model was made to write, with the score of a classifier."""

CLASSIFIED = pa.schema(
    [
        _required("place", pa.string()),  # file and row of the text, or the address of its page and the entry
        _required("text", pa.string()),
        _required("label", pa.string()),  # the true one
        _required("named", pa.string()),  # the label that the network names
        _required("probability", pa.float64()),  # that it gives to this label
        _required("correct", pa.bool_()),
    ]
)
"""Every test text of a trained classifier, with the label that it names."""

INDEXED = pa.schema(
    [
        _required("doc_id", pa.string()),
        pa.field("url", pa.string()),
        _required("source", pa.string()),
        pa.field("fetched_at", TIMESTAMP),
        pa.field("title", pa.string()),
        pa.field("date", pa.string()),  # when the page says it was published
        _required("split", pa.string()),  # of the document
        _required("start", pa.int64()),  # of the passage in the document's text, in characters
        _required("end", pa.int64()),
        _required("words", pa.int64()),
        _required("text", pa.large_string()),
        _required("n_bytes", pa.int64()),  # len(text) in UTF-8
    ]
)
"""Passages as the stage index writes them: the number of a row, counted over all shards, is that in the BM25 index."""

FOUND = pa.schema(
    [
        _required("question", pa.string()),
        _required("answers", pa.list_(pa.string())),  # each of which is right
        _required("doc_id", pa.string()),  # of the held-out page that the question is about
        pa.field("url", pa.string()),
        pa.field("page_rank", pa.int64()),  # of the first passage found of this page, from 1; null = not among them
        pa.field("answer_rank", pa.int64()),  # of the first passage found with an answer in it, word for word
        pa.field("passage", pa.int64()),  # the number of the page's own passage with an answer in it; null = none has
    ]
)
"""Questions about held-out pages, and what an index finds for them."""

ASKED = pa.schema(
    [
        _required("question", pa.string()),
        _required("answers", pa.list_(pa.string())),
        _required("doc_id", pa.string()),  # of the page that the question is about
        _required("way", pa.string()),  # what was given: "found" by the index, the "right" passage, "alone"
        _required("passages", pa.list_(pa.int64())),  # their numbers in the index
        _required("given", pa.large_string()),
        _required("has_answer", pa.bool_()),  # a right answer stands in what was given, word for word
        _required("answer", pa.large_string()),
        _required("exact", pa.bool_()),  # it is a right one, word for word
        _required("quoted", pa.bool_()),  # it stands in what was given, word for word
        pa.field("mean_log_prob", pa.float64()),  # nats per token; null = no token was written
    ]
)
"""Every answer of a model to a question about a held-out page."""
