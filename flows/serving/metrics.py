"""What the server counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tasks.delivery.serving.served import Served

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TOKEN_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class Metrics:
    """The counters of one server. Prompts, texts and keys never become labels."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self.requests = Counter("textmill_requests", "Answered requests", ["endpoint", "status"], registry=own)
        self.prompt_tokens = Counter("textmill_prompt_tokens", "Tokens of prompts", ["model"], registry=own)
        self.generated_tokens = Counter("textmill_generated_tokens", "Tokens written", ["model"], registry=own)
        self.first_token = Histogram(
            "textmill_first_token_seconds", "Time to the first token", ["model"], registry=own, buckets=_SECONDS
        )
        self.per_token = Histogram(
            "textmill_token_seconds", "Time per token of a request", ["model"], registry=own, buckets=_TOKEN_SECONDS
        )
        self.whole = Histogram(
            "textmill_request_seconds", "Time of a whole request", ["model"], registry=own, buckets=_SECONDS
        )

    def text(self, models: Iterable[Served]) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry) + generate_latest(_Loads(models))  # type: ignore[arg-type]


class _Loads:
    """How busy each model is at the moment it is asked, and how often its prefix cache knew a prompt."""

    def __init__(self, models: Iterable[Served]) -> None:
        self._models = list(models)

    def collect(self) -> Iterable[Metric]:
        """Yield what the engines count; prometheus_client calls it."""
        running = GaugeMetricFamily("textmill_texts_running", "Texts that grow", labels=["model"])
        waiting = GaugeMetricFamily("textmill_texts_waiting", "Texts that wait", labels=["model"])
        usage = GaugeMetricFamily("textmill_kv_cache_usage", "Share of the KV cache that texts use", labels=["model"])
        queries = CounterMetricFamily("textmill_prefix_cache_queries", "Prompt tokens looked up", labels=["model"])
        hits = CounterMetricFamily("textmill_prefix_cache_hits", "Of these, those read before", labels=["model"])
        for one in self._models:
            cache = one.engine.prefix_cache
            usage.add_metric([one.name], cache.usage)
            queries.add_metric([one.name], cache.queries)
            hits.add_metric([one.name], cache.hits)
            running.add_metric([one.name], one.engine.load.running)
            waiting.add_metric([one.name], one.engine.load.waiting)
        yield from (running, waiting, usage, queries, hits)
