"""OnRecord: who says what about a disputed proposition, with what stance, in what capacity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onrecord.model import CONFIGS, DEFAULT_CONFIG, LABELS, crosswalk, features

if TYPE_CHECKING:
    import datasets

    from onrecord.predictions import Predictions
    from onrecord.scoring import Report

__all__ = ["CONFIGS", "LABELS", "crosswalk", "features", "load", "score"]


def load(
    config: str = DEFAULT_CONFIG, split: str | None = None, *, folder: str | Path = "dataset"
) -> datasets.DatasetDict | datasets.Dataset:
    """A built folder's table with its labels typed, all splits or one.

    Reads the Parquet files directly: no card, no network, no cache of its own names. Raises KeyError for an unknown
    configuration, FileNotFoundError where the folder has no such table.
    """
    from datasets import load_dataset

    typed = features(config)
    found = sorted(Path(folder).glob(f"data/{config}/*.parquet"))
    if not found:
        raise FileNotFoundError(f"{folder} has no data/{config}; run `onrecord build`")
    files: dict[str, list[str]] = {}
    for file in found:
        files.setdefault(file.stem.split("-")[0], []).append(str(file))
    return load_dataset("parquet", data_files=files, features=typed, split=split)


def score(
    predictions: Predictions,
    *,
    config: str = DEFAULT_CONFIG,
    split: str = "test",
    gold: str | Path = "dataset",
    against: Predictions | None = None,
) -> Report:
    """The figures of predictions (a file, or an Arrow table) against a built folder's gold; see `onrecord score`.

    Raises `onrecord.scoring.Unscorable` with all findings where ids, labels or probabilities are at fault.
    """
    from onrecord import predictions as files

    return files.score(predictions, config=config, split=split, gold=gold, against=against)
