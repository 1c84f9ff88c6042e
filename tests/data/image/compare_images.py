#!/usr/bin/env python3
"""Compares decoding and resizing with Pillow's (PyPI): compare_images.py RESIZE_IMAGES FOLDER [COUNT].

RESIZE_IMAGES is the program of resize_images.cc. Pictures are those of FOLDER, and what Pillow writes of them: other
samplings, progressive, grey, CMYK, PNG of all kinds, each way up. Decoded bytes and regions must be equal to the last bit,
boxes resized to any size to one level. Says how many of these are equal, and exits 1 where one differs by more. (Pillow's
wheel has a libjpeg of its own: its default transform has the same values.)
"""

import pathlib
import random
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageOps


class Program:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, file, channels, reduction=1, box=(0, 0, 0, 0), size=(0, 0)):
        words = [file, channels, reduction, *(repr(float(x)) for x in box), *size]
        self.process.stdin.write(("\t".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode()
        if line.startswith("error"):
            raise RuntimeError(line)
        height, width = map(int, line.split())
        count = height * width * channels
        data = self.process.stdout.read(count)
        return np.frombuffer(data, np.uint8).reshape(height, width, channels)


def variants(files, folder, rng):
    """Files of all kinds."""
    for i, file in enumerate(files):
        yield file
        picture = Image.open(file).convert("RGB")
        left, top = rng.randrange(30), rng.randrange(30)
        picture = picture.crop((left, top, picture.width - rng.randrange(1, 300), picture.height - rng.randrange(1, 300)))
        stem = str(folder / f"{i}")
        exif = Image.Exif()
        exif[0x0112] = 1 + i % 8
        for sampling in (0, 1, 2):
            for progressive in (False, True):
                name = f"{stem}-{sampling}{'p' if progressive else ''}.jpg"
                picture.save(name, quality=rng.randrange(30, 100), subsampling=sampling, progressive=progressive, exif=exif)
                yield name
        for mode in ("L", "CMYK"):
            picture.convert(mode).save(f"{stem}-{mode}.jpg", quality=90, exif=exif)
            yield f"{stem}-{mode}.jpg"
        small = picture.resize((97, 61))
        for mode in ("1", "L", "P", "RGB", "RGBA", "LA"):
            small.convert(mode).save(f"{stem}-{mode}.png", exif=exif)
            yield f"{stem}-{mode}.png"
        small.quantize(4).save(f"{stem}-P2.png", bits=2)
        yield f"{stem}-P2.png"
        deep = (np.asarray(small.convert("L")).astype(np.uint16) * 256 + 77)
        Image.fromarray(deep).save(f"{stem}-16.png")


def reference(file, mode):
    return ImageOps.exif_transpose(Image.open(file)).convert(mode)


def main():
    program, folder = Program(sys.argv[1]), pathlib.Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 8
    rng = random.Random(1)
    files = sorted(folder.glob("*.jpg"))
    files = rng.sample(files, min(count, len(files)))
    compared = equal = wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        for file in variants(files, pathlib.Path(scratch), rng):
            for channels, mode in ((3, "RGB"), (1, "L")):
                picture = reference(file, mode)
                want = np.asarray(picture).reshape(picture.height, picture.width, channels)

                def same(got, want, what, most=0):
                    nonlocal compared, equal, wrong
                    worst = np.abs(got.astype(int) - want.reshape(got.shape).astype(int)).max()
                    compared += 1
                    equal += worst == 0
                    if worst > most:
                        wrong += 1
                        print(f"{file} {mode} {what}: they differ by up to {worst}")

                same(program(file, channels), want, "whole")
                for _ in range(6):
                    top, left = rng.randrange(picture.height), rng.randrange(picture.width)
                    bottom, right = rng.randrange(top, picture.height) + 1, rng.randrange(left, picture.width) + 1
                    same(program(file, channels, 1, (top, left, bottom, right)), want[top:bottom, left:right],
                         f"region {top} {left} {bottom} {right}")
                    if rng.random() < 0.5:
                        top, left = top + rng.random() * 0.4, left + rng.random() * 0.4
                        bottom, right = bottom - rng.random() * 0.4, right - rng.random() * 0.4
                    size = rng.randrange(1, 300), rng.randrange(1, 300)
                    resized = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
                    same(program(file, channels, 1, (top, left, bottom, right), size), np.asarray(resized),
                         f"box {top} {left} {bottom} {right} to {size}", 1)
                if str(file).endswith(".jpg"):
                    for reduction in (2, 4, 8):
                        whole = program(file, channels, reduction)
                        height, width = whole.shape[:2]
                        top, left = rng.randrange(height), rng.randrange(width)
                        bottom, right = rng.randrange(top, height) + 1, rng.randrange(left, width) + 1
                        same(program(file, channels, reduction, (top, left, bottom, right)),
                             whole[top:bottom, left:right], f"1/{reduction} region {top} {left} {bottom} {right}")
    print(f"{compared} compared, {equal} of them equal, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
