"""Train the speech gate's classifier on generated audio and write its numbers to ``codecs/speech.npz``.

    python -m tests.bench.gate_train [--hours 5] [--seed 1]

Only the tuned part of the corpus and the tuned kinds of events are used. A network of two hidden layers sees the
features of 16 frames (320 ms); it is trained with Adam on the logistic loss, in numpy. The last tenth of the scenes is
not trained on and serves to say how it went. The same seed gives the same numbers on the same numpy.
"""

import argparse
import multiprocessing
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.bench.fm import channel as fm
from tests.bench.fm import events, scenes
from tests.bench.fm.corpus import tuned
from tongpin.codecs.resample import Decimator
from tongpin.codecs.speech import CONTEXT, LEVEL
from tongpin.codecs.voicing import FEATURES, HOP, WINDOW, features_of

Floats = NDArray[np.float32]
_HIDDEN = (64, 24)
_SCENES_AN_HOUR = 150
_BLUR = 0.2
"""Noise on the scaled inputs: the network then leans on many features instead of learning scenes by heart."""
_HARD = (events.hum, events.vehicle, events.fsk_telemetry, events.tone_sequence, events.beeps)
"""What looks most like speech is shown oftener."""
_OUT = Path(__file__).parents[2] / "codecs" / "speech.npz"


class Examples(NamedTuple):
    """Features of frames, their labels (1, 0, −1 = not asked) and weights; scenes stand one after the other."""

    features: Floats
    labels: NDArray[np.int8]
    weights: Floats


def scene_of(rng: np.random.Generator) -> scenes.Scene:
    """One training scene of about 24 s."""
    kind = rng.random()
    level = float(rng.uniform(-45, -9))
    voices = tuned()
    said = [voices[at] for at in rng.integers(len(voices), size=4)]
    channel = fm.random_channel(rng, float(rng.uniform(8, 35)))
    if kind < 0.36:
        background = float(rng.choice([0, 0, 0.03, 0.1]))
        return scenes.speech_scene(said, channel, rng, level, background=background)
    if kind < 0.46:
        quiet = replace(channel, squelch_ms=(float(rng.uniform(20, 80)), float(rng.uniform(30, 300))))
        return scenes.speech_scene(said, quiet, rng, level)
    if kind < 0.56:
        return scenes.clean_scene(said, rng, level)
    if kind < 0.70:
        hard = [_HARD[at] for at in rng.integers(len(_HARD), size=6)]
        return scenes.event_scene(hard, replace(channel, cn_db=float(rng.uniform(8, 40))), rng, level)
    if kind < 0.88:
        happening = [tuple(events.TUNED.values())[at] for at in rng.integers(len(events.TUNED), size=6)]
        if rng.random() < 0.3:
            channel = replace(channel, squelch_ms=(float(rng.uniform(20, 80)), float(rng.uniform(30, 300))))
        return scenes.event_scene(happening, replace(channel, cn_db=float(rng.uniform(5, 40))), rng, level)
    return scenes.noise_scene(24, channel, rng, level)


def _examples(seed: int) -> Examples:
    """Three scenes' worth."""
    rng = np.random.default_rng(seed)
    features, labels, weights = [], [], []
    for _ in range(3):
        scene = scene_of(rng)
        thin = np.concatenate([np.zeros(WINDOW - HOP, np.float32), Decimator(6).push_many(scene.pcm)])
        seen = features_of(np.lib.stride_tricks.sliding_window_view(thin, WINDOW)[::HOP])
        label = scene.spoken.copy()
        label[:CONTEXT] = -1
        weight = np.ones(label.size, np.float32)
        for begin in np.flatnonzero(np.diff(label, prepend=-1) == 2):
            weight[begin : begin + 7] = 4  # The gate must be open by then, or the first syllable is lost.
        features.append(seen.astype(np.float16))
        labels.append(label)
        weights.append(weight)
    return Examples(np.concatenate(features), np.concatenate(labels), np.concatenate(weights))


def generated(hours: float, seed: int) -> Iterator[Examples]:
    """Training audio as features, in the seed's order, made on every core."""
    tuned()
    seeds = [seed * 1_000_000 + at for at in range(round(hours * _SCENES_AN_HOUR / 3))]
    with multiprocessing.get_context("fork").Pool() as pool:
        yield from pool.imap(_examples, seeds, chunksize=2)


class Network:
    """The classifier under training; ``parameters`` are weight, bias, weight, bias …"""

    def __init__(self, rng: np.random.Generator) -> None:
        sizes = (CONTEXT * FEATURES, *_HIDDEN, 1)
        self.parameters: list[Floats] = []
        for inside, outside in zip(sizes, sizes[1:], strict=False):
            self.parameters += [
                rng.normal(0, np.sqrt(2 / inside), (inside, outside)).astype(np.float32),
                np.zeros(outside, np.float32),
            ]
        self._moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.parameters]
        self._steps = 0

    def logits(self, inputs: Floats) -> list[Floats]:
        """Every layer's output, the inputs first."""
        layers = [inputs]
        for at in range(0, len(self.parameters), 2):
            out = layers[-1] @ self.parameters[at] + self.parameters[at + 1]
            layers.append(out if at == len(self.parameters) - 2 else np.maximum(out, 0))
        return layers

    def learn(self, inputs: Floats, labels: Floats, weights: Floats, rate: float) -> float:
        """One step of Adam; the mean loss before it."""
        layers = self.logits(inputs)
        logit = layers[-1][:, 0]
        chance = 1 / (1 + np.exp(-np.clip(logit, -40, 40)))
        slope = (weights * (chance - labels) / labels.size)[:, None].astype(np.float32)
        self._steps += 1
        for at in range(len(self.parameters) - 2, -1, -2):
            before = layers[at // 2]
            gradients = (before.T @ slope + 1e-6 * self.parameters[at], slope.sum(axis=0))
            if at:
                slope = (slope @ self.parameters[at].T) * (before > 0)
            for place, gradient in zip((at, at + 1), gradients, strict=True):
                mean, square = self._moments[place]
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient**2 - square)
                self.parameters[place] -= (
                    rate * (mean / (1 - 0.9**self._steps)) / (np.sqrt(square / (1 - 0.999**self._steps)) + 1e-8)
                )
        return float(np.mean(weights * (np.logaddexp(0, logit) - labels * logit)))


def stacked(features: Floats, at: NDArray[np.int64]) -> Floats:
    """The inputs of frames ``at``: 16 frames each, the newest last, their levels against their mean."""
    windows = features[at[:, None] + np.arange(-CONTEXT + 1, 1)[None, :]].astype(np.float32)
    windows[:, :, LEVEL] -= windows[:, :, LEVEL].mean(axis=1, keepdims=True)
    return np.asarray(windows.reshape(at.size, -1))


def train(examples: Examples, seed: int, epochs: int) -> tuple[Network, Floats, Floats]:
    """Returns the network and the mean and scale that its inputs are brought to (for all but the level's offset)."""
    rng = np.random.default_rng(seed)
    usable = np.flatnonzero(examples.labels >= 0)
    usable = usable[usable >= CONTEXT]
    cut = int(usable.size * 0.9)
    learned, kept = usable[:cut], usable[cut:]
    sample = stacked(examples.features, rng.choice(learned, 20_000))
    mean, scale = sample.mean(axis=0), sample.std(axis=0) + 1e-3
    network = Network(rng)
    batch = 512
    steps = learned.size // batch
    for epoch in range(epochs):
        rng.shuffle(learned)
        loss = 0.0
        for step in range(steps):
            done = (epoch + step / steps) / epochs
            rate = 2e-3 * min(1.0, 20 * done) * 0.5 * (1 + np.cos(np.pi * done)) + 1e-5
            at = learned[step * batch : (step + 1) * batch]
            inputs = (stacked(examples.features, at) - mean) / scale
            inputs += rng.standard_normal(inputs.shape, dtype=np.float32) * np.float32(_BLUR)
            loss += network.learn(inputs, examples.labels[at].astype(np.float32), examples.weights[at], rate)
        said = np.concatenate(
            [
                network.logits((stacked(examples.features, part) - mean) / scale)[-1][:, 0]
                for part in np.array_split(kept, max(1, kept.size // 20_000))
            ]
        )
        truth = examples.labels[kept] > 0
        bar = np.percentile(said[~truth], 99.99)
        print(
            f"epoch {epoch}: loss {loss / steps:.4f}; kept back: {np.mean(said[truth] < 0):.2%} missed and "
            f"{np.mean(said[~truth] > 0):.3%} false at 0, {np.mean(said[truth] < bar):.2%} missed at {bar:.2f}",
            flush=True,
        )
    return network, mean, scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--keep", type=Path, help="a file for the features, to train on them again")
    parser.add_argument("--out", type=Path, default=_OUT)
    arguments = parser.parse_args()
    if arguments.keep and arguments.keep.exists():
        with np.load(arguments.keep) as kept:
            examples = Examples(kept["features"], kept["labels"], kept["weights"])
    else:
        parts = list(generated(arguments.hours, arguments.seed))
        examples = Examples(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        if arguments.keep:
            np.savez(arguments.keep, **examples._asdict())
    print(f"{examples.labels.size / 180_000:.2f} hours, {np.mean(examples.labels > 0):.1%} speech", flush=True)
    network, mean, scale = train(examples, arguments.seed, arguments.epochs)
    # The scaling goes into the first layer: live audio then needs one multiplication less.
    first = network.parameters[0] / scale[:, None]
    bias = network.parameters[1] - mean @ first
    with zipfile.ZipFile(arguments.out, "w", zipfile.ZIP_DEFLATED) as file:
        for at, parameter in enumerate([first, bias, *network.parameters[2:]]):
            with file.open(zipfile.ZipInfo(f"p{at}.npy"), "w") as member:
                np.lib.format.write_array(member, parameter.astype(np.float32))
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
