"""What a Prometheus server can scrape of the injector."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from leasehold import __version__

RESULTS: Final = ("injected", "unchanged", "refused", "failed")
"""What becomes of a pod: given its sidecar; has it already; refused for what it asks; not to be checked just now."""
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class InjectorMetrics:
    """Counts what is reported, in the given registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reviews = Counter(
            "leasehold_injector_reviews", "Pods that were decided about, by result.", ["result"], registry=registry
        )
        self._duration = Histogram(
            "leasehold_injector_review_duration_seconds",
            "Time of one decision, its questions to the API server included.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._expiry = Gauge(
            "leasehold_injector_certificate_expiry_timestamp_seconds",
            "When the certificate that is served expires.",
            registry=registry,
        )
        self._renewal = Gauge(
            "leasehold_injector_certificate_renewal_timestamp_seconds",
            "When the certificate that is served is due to be replaced by its next one.",
            registry=registry,
        )
        build = Gauge("leasehold_injector_build_info", "The version, as a label.", ["version"], registry=registry)
        build.labels(__version__).set(1)
        for result in RESULTS:
            self._reviews.labels(result)

    def reviewed(self, result: str) -> None:
        """A pod was decided about; `result` is one of `RESULTS`."""
        self._reviews.labels(result).inc()

    def took(self, seconds: float) -> None:
        """A decision has taken so long."""
        self._duration.observe(seconds)

    def serves(self, renewal: float, expiry: float) -> None:
        """The certificate that is served now is due to be replaced, and expires, at these Unix times."""
        self._renewal.set(renewal)
        self._expiry.set(expiry)
