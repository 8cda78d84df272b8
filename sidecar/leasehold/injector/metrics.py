"""The injector's Prometheus metrics."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from leasehold import __version__

RESULTS: Final = ("injected", "unchanged", "refused", "failed")
"""Given its sidecar; already has it; refused; refused because the API server could not be asked."""
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class InjectorMetrics:
    """Keeps the metrics in the given registry."""

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
            "When the certificate that is served is due to be replaced by its next one; 0 if somebody else does that.",
            registry=registry,
        )
        build = Gauge("leasehold_injector_build_info", "The version, as a label.", ["version"], registry=registry)
        build.labels(__version__).set(1)
        for result in RESULTS:
            self._reviews.labels(result)

    def reviewed(self, result: str) -> None:
        """Report a decision; `result` is one of `RESULTS`."""
        self._reviews.labels(result).inc()

    def took(self, seconds: float) -> None:
        """Report how long a decision took."""
        self._duration.observe(seconds)

    def serves(self, renewal: float, expiry: float) -> None:
        """Report when the served certificate is due for renewal, 0 if never here, and when it expires, in Unix time."""
        self._renewal.set(renewal)
        self._expiry.set(expiry)
