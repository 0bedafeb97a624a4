"""How often 95% intervals over stories cover the truth: simulated, and written to COVERAGE.md beside this file.

    python scripts/bench/coverage.py

A story draws its number of rows, its share of each label and its own confusion of them, so rows of a story are alike.
The truth is the macro-F1 of 100,000 such stories. Seeded: the same table each time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import norm, t

from onrecord.scoring import Counts, jackknife_error, macro_f1

STORIES = (4, 10, 12, 24, 42)
TRIALS = 1_000
RESAMPLES = 599
SHARES = np.array([0.15, 0.14, 0.08, 0.09, 0.04, 0.50])  # of labels, near the test split's
SETTINGS = {"alike": (60.0, 60.0), "unlike": (8.0, 8.0)}  # concentration of shares, of confusion: low is unlike
Interval = tuple[float, float]


def draw(stories: int, shares: float, confusion: float, chance: np.random.Generator) -> Counts:
    """Confusion matrices of so many stories."""
    wide = len(SHARES)
    base = np.full((wide, wide), 0.4 / (wide - 1)) + np.eye(wide) * (0.6 - 0.4 / (wide - 1))
    rows = np.maximum(20, chance.lognormal(4.3, 0.6, stories)).astype(int)
    gold = chance.multinomial(rows, chance.dirichlet(SHARES * shares + 1e-3, stories))
    odds = np.stack([chance.dirichlet(line * confusion, stories) for line in base], axis=1)
    return chance.multinomial(gold, odds).astype(np.float64)


def _resampled(by_story: Counts, chance: np.random.Generator) -> Counts:
    stories = len(by_story)
    times = chance.multinomial(stories, np.full(stories, 1 / stories), RESAMPLES).astype(np.float64)
    return np.sort(macro_f1(np.tensordot(times, by_story, axes=1)))


def percentile(by_story: Counts, chance: np.random.Generator) -> Interval:
    low, high = np.quantile(_resampled(by_story, chance), [0.025, 0.975])
    return float(low), float(high)


def bca(by_story: Counts, chance: np.random.Generator) -> Interval:
    """Bias-corrected and accelerated (Efron 1987)."""
    resampled, total = _resampled(by_story, chance), by_story.sum(axis=0)
    shift = norm.ppf(np.clip((resampled < macro_f1(total)).mean(), 1e-3, 1 - 1e-3))
    without = macro_f1(total - by_story)
    gap = without.mean() - without
    skew = (gap**3).sum() / (6 * (gap**2).sum() ** 1.5 + 1e-30)
    z = shift + norm.ppf([0.025, 0.975])
    low, high = np.quantile(resampled, norm.cdf(shift + z / (1 - skew * z)))
    return float(low), float(high)


def linear_t(by_story: Counts, chance: np.random.Generator) -> Interval:
    """Linearised variance, Student's t."""
    total, stories = by_story.sum(axis=0), len(by_story)
    size = np.maximum(total.sum(axis=-1) + total.sum(axis=-2), 1)
    f1 = 2 * np.diagonal(total) / size
    part = 2 * np.diagonal(by_story, axis1=1, axis2=2) - f1 * (by_story.sum(axis=-1) + by_story.sum(axis=-2))
    pull = (part / size).mean(axis=-1)
    error = np.sqrt(stories / (stories - 1) * ((pull - pull.mean()) ** 2).sum())
    return _around(by_story, float(error))


def jackknife_t(by_story: Counts, chance: np.random.Generator) -> Interval:
    return _around(by_story, jackknife_error(by_story, macro_f1))


def _around(by_story: Counts, error: float) -> Interval:
    middle, reach = float(macro_f1(by_story.sum(axis=0))), float(t.ppf(0.975, len(by_story) - 1)) * error
    return middle - reach, middle + reach


METHODS: dict[str, Callable[[Counts, np.random.Generator], Interval]] = {
    "percentile bootstrap": percentile,
    "BCa bootstrap": bca,
    "linearised, t": linear_t,
    "jackknife, t (used)": jackknife_t,
}


def main() -> None:
    lines = [
        "# How often 95% intervals cover the truth",
        "",
        f"Made by `python scripts/bench/coverage.py`: {TRIALS:,} simulated test sets a row, {RESAMPLES} resamples.",
        "Per cent of intervals for macro-F1 that hold the true value, and in brackets their mean width in points. Two",
        "standard errors of a coverage of 95 are 1.4.",
        "",
        "| stories | are | " + " | ".join(METHODS) + " |",
        "| ---: | --- | " + "---: | " * (len(METHODS) - 1) + "---: |",
    ]
    for name, setting in SETTINGS.items():
        truth = float(macro_f1(draw(100_000, *setting, np.random.default_rng(1)).sum(axis=0)))
        for stories in STORIES:
            chance = np.random.default_rng([0, stories])
            trials = [draw(stories, *setting, chance) for _ in range(TRIALS)]
            cells = []
            for method in METHODS.values():
                bounds = np.array([method(trial, chance) for trial in trials])
                held = ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()
                cells.append(f"{100 * held:.1f} ({100 * (bounds[:, 1] - bounds[:, 0]).mean():.1f})")
            lines.append(f"| {stories} | {name} | " + " | ".join(cells) + " |")
    lines += ["", "Under ten stories `onrecord score` gives no interval."]
    Path(__file__).with_name("COVERAGE.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
