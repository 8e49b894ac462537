"""Measure the ear of emotions on speakers that it never heard.

    python -m talking_face.training.measure.emotion_figures --table emotion.csv --heard HEARD \
        --cache CACHE

Two tables: the shipped network on the validation speakers of each corpus, with confusions; and for
each corpus a network that learned from the others alone, on the same speakers. HEARD and CACHE are
as for `talking_face.training.fit.emotion`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch

from talking_face.sound.emotion import load_emotion
from talking_face.training.data.utterances import load_passages, read_utterances
from talking_face.training.fit.emotion import joined, load_plain, train
from talking_face.training.measure.emotion_report import report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, help="emotion.csv")
    parser.add_argument("--heard", type=Path, required=True, help="what `utterances` wrote")
    parser.add_argument("--cache", type=Path, required=True, help="what `prepare` wrote")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)
    acted = load_passages(read_utterances(options.table), options.heard)
    passages = joined(acted, load_plain(options.cache))
    network = load_emotion()
    print(report(network, passages[passages.validation], tables=True))
    for source in np.unique(acted.source):
        others = train(passages[~passages.validation & (passages.source != source)])
        others.temperature.copy_(network.temperature)
        print(f"\nwithout {source}:\n")
        print(report(others, passages[passages.validation & (passages.source == source)]))


if __name__ == "__main__":
    main()
