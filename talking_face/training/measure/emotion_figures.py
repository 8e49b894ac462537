"""Measure the ear of emotions on speakers that it never heard.

    python -m talking_face.training.measure.emotion_figures --table emotion.csv --heard HEARD \
        --cache CACHE

Two tables: the shipped network on the validation speakers of each corpus, with confusions; and for
each corpus a network that learned from the others alone, on the same speakers. HEARD and CACHE are
as for `talking_face.training.fit.emotion`.
"""

from __future__ import annotations

import logging

import numpy as np
import torch

from talking_face.sound.emotion import load_emotion
from talking_face.training.fit.emotion import PLAIN, heard_parser, load_all, train
from talking_face.training.measure.emotion_report import report


def main() -> None:
    options = heard_parser(__doc__).parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(0)  # networks begin at random
    passages, pairs = load_all(options)
    heard_in = np.array([name.split()[0] for name in pairs.speaker])
    network = load_emotion()
    print(report(network, passages[passages.validation], tables=True))
    for source in np.unique(passages.source[~np.isin(passages.source, PLAIN)]):
        others = train(
            passages[~passages.validation & (passages.source != source)],
            pairs[heard_in != source],
        )
        others.temperature.copy_(network.temperature)
        print(f"\nwithout {source}:\n")
        print(report(others, passages[passages.validation & (passages.source == source)]))


if __name__ == "__main__":
    main()
