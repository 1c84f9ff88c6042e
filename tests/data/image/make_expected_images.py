#!/usr/bin/env python3
"""Writes expected_images.json: small pictures as files, and what Pillow and torchvision (both PyPI) make of them.

    make_expected_images.py > expected_images.json

"files": encoded pictures and their pixels upright, as RGB and as grey. "resized": boxes of a picture at other sizes. "ops":
changes of a picture by torchvision's functions for tensors of bytes. Bytes are hexadecimal.
"""

import io
import json
import math

import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image, ImageOps

HEIGHT, WIDTH = 23, 37


def smooth(seed, height=HEIGHT, width=WIDTH):
    """Something like a photograph: gradients, an edge, some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / (3 + c) + seed) * np.cos(y / (5 - c)) for c in range(3)]
    values = np.stack(planes, -1) + rng.normal(0, 6, (height, width, 3)) + 40 * (x > y)[..., None]
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def file_case(name, data):
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    deep = picture.mode.startswith("I;16")
    if deep:  # Pillow cuts such values off at 255; the upper byte is what it takes of RGB
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    rgb, grey = picture.convert("RGB"), picture.convert("L")
    return {"name": name, "file": data.hex(), "height": rgb.height, "width": rgb.width, "rgb": rgb.tobytes().hex(),
            "grey": grey.tobytes().hex()}


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def files():
    picture = smooth(1)
    for sampling, name in ((0, "444"), (1, "422"), (2, "420")):
        yield file_case(f"jpeg {name}", encoded(picture, "JPEG", quality=80, subsampling=sampling))
    yield file_case("jpeg progressive", encoded(picture, "JPEG", quality=75, progressive=True))
    yield file_case("jpeg grey", encoded(picture.convert("L"), "JPEG"))
    yield file_case("jpeg cmyk", encoded(picture.convert("CMYK"), "JPEG", quality=90))
    for orientation in range(1, 9):
        yield file_case(f"jpeg turned {orientation}",
                        encoded(smooth(2, 11, 18), "JPEG", quality=85, exif=exif(orientation)))
    small = smooth(3, 9, 13)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield file_case(f"png {mode}", encoded(small.convert(mode), "PNG"))
    for bits in (1, 2, 4):
        yield file_case(f"png palette of {bits} bits", encoded(small.quantize(2 ** bits), "PNG", bits=bits))
    with_hole = small.quantize(16)
    yield file_case("png palette with transparency", encoded(with_hole, "PNG", transparency=3))
    deep = np.asarray(small.convert("L")).astype(np.uint16) * 257
    yield file_case("png 16 bits", encoded(Image.fromarray(deep + 3), "PNG"))
    yield file_case("png turned", encoded(small, "PNG", exif=exif(6)))


def resized():
    picture = smooth(4)
    for box, size in (((0, 0, WIDTH, HEIGHT), (16, 16)), ((0, 0, WIDTH, HEIGHT), (37, 9)), ((0, 0, WIDTH, HEIGHT), (5, 23)),
                      ((3, 2, 30, 20), (11, 7)), ((4.5, 3.25, 20.5, 19.25), (8, 8)), ((0, 0, WIDTH, HEIGHT), (50, 30))):
        for mode in ("RGB", "L"):
            source = picture.convert(mode)
            out = source.resize(size, Image.Resampling.BILINEAR, box=box)
            yield {"channels": len(mode) if mode == "RGB" else 1, "box": box, "height": size[1], "width": size[0],
                   "pixels": out.tobytes().hex()}


def ops():
    from torchvision.transforms import autoaugment, InterpolationMode
    picture = torch.from_numpy(np.asarray(smooth(5, 12, 15)).copy()).permute(2, 0, 1)

    def case(op, out, **more):
        return {"op": op, "pixels": out.permute(1, 2, 0).contiguous().numpy().tobytes().hex(), **more}

    for value in (0.4, 1.7):
        yield case("brightness", F.adjust_brightness(picture, value), value=value)
        yield case("contrast", F.adjust_contrast(picture, value), value=value)
        yield case("saturation", F.adjust_saturation(picture, value), value=value)
        yield case("sharpness", F.adjust_sharpness(picture, value), value=value)
    for value in (-0.3, 0.1):
        yield case("hue", F.adjust_hue(picture, value), value=value)
    names = ["Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast",
             "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize"]
    space = autoaugment.RandAugment()._augmentation_space(31, (12, 15))
    for number, name in enumerate(names):
        for magnitude in (9, 30):
            magnitudes, signed = space[name]
            strength = float(magnitudes[magnitude]) if magnitudes.ndim > 0 else 0.0
            for negative in (False, True) if signed else (False,):
                out = autoaugment._apply_op(picture, name, -strength if negative else strength,
                                            interpolation=InterpolationMode.NEAREST, fill=None)
                yield case("augment", out, number=number, name=name, magnitude=magnitude, negative=negative)


def main():
    box = smooth(4)
    result = {"files": list(files()),
              "picture": {"rgb": box.tobytes().hex(), "grey": box.convert("L").tobytes().hex(), "height": HEIGHT, "width": WIDTH},
              "resized": list(resized()),
              "op_picture": {"rgb": smooth(5, 12, 15).tobytes().hex(), "height": 12, "width": 15},
              "ops": list(ops())}
    print(json.dumps(result, indent=0))


if __name__ == "__main__":
    main()
