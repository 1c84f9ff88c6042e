"""Writes expected_features.json: what PyTorch makes of pseudorandom audio, for features_test and speech_augment_test.

    python tests/data/audio/make_expected_features.py

The functions are those of a usual PyTorch recipe for speech: torch.fft, torch.hann_window, F.interpolate.
"""

import json
import math
import pathlib
import types

import torch
import torch.nn.functional as F


def audio(count):
    """The same numbers as the tests': a linear congruential generator's upper bits, smoothed, fading in."""
    state, last, samples = 1, 0, []
    for i in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        last = (last * 3 + (state >> 15) - 32768) // 4
        samples.append(last * min(i, 400) // 400)
    return torch.tensor(samples, dtype=torch.float32) / 32768


def mel_filters(c):
    def to_mel(hz):
        return 2595 * math.log10(1 + hz / 700)

    mels = torch.linspace(to_mel(0), to_mel(c.sample_rate / 2), c.mels + 2, dtype=torch.float64)
    hz = 700 * (10 ** (mels / 2595) - 1)
    bins = torch.arange(c.fft // 2 + 1) * c.sample_rate / c.fft
    rising = (bins[:, None] - hz[:-2]) / (hz[1:-1] - hz[:-2])
    falling = (hz[2:] - bins[:, None]) / (hz[2:] - hz[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


def log_mel(samples, c):
    frames = samples.unfold(0, c.window, c.hop) * torch.hann_window(c.window)
    power = torch.fft.rfft(frames, n=c.fft).abs().square()
    x = torch.log(power @ mel_filters(c) + 1e-6)
    return (x - x.mean(0)) / (x.std(0, correction=0) + 1e-3)


def stack_frames(x, count):
    return x[: len(x) // count * count].reshape(-1, count * x.shape[1])


def change_speed(samples, factor):
    x = samples.double()[None, None]
    return F.interpolate(x, scale_factor=1 / factor, mode="linear", align_corners=False)[0, 0]


def rounded(x):
    return [float(f"{v:.7g}") for v in x.flatten().tolist()]


def main():
    features = []
    for count, rate, window, hop, fft, mels, stack in (
        (960, 8000, 200, 80, 256, 40, 2),  # ten frames and 40 samples left over
        (1200, 16000, 400, 160, 512, 80, 1),
        (700, 11025, 221, 55, 300, 13, 3),
    ):
        c = types.SimpleNamespace(sample_rate=rate, window=window, hop=hop, fft=fft, mels=mels)
        x = stack_frames(log_mel(audio(count), c), stack)
        features.append(dict(samples=count, sample_rate=rate, window=window, hop=hop, fft=fft, mels=mels, stack=stack,
                             shape=list(x.shape), values=rounded(x)))
    speeds = []
    for count, speed in ((100, 0.87), (100, 1.13), (100, 1.001), (3, 2.5), (1, 0.5)):
        speeds.append(dict(samples=count, speed=speed, values=rounded(change_speed(audio(count), speed))))
    target = pathlib.Path(__file__).with_name("expected_features.json")
    target.write_text(json.dumps(dict(features=features, speeds=speeds), separators=(",", ":")).replace(',"', ',\n"') + "\n")


if __name__ == "__main__":
    main()
