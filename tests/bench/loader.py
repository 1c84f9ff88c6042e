#!/usr/bin/env python3
"""Prints pictures a second that the loader makes ready, beside torchvision's and DALI's on the same files and as many threads.

    tests/bench/loader.py LOADER_RATE FOLDER [--threads 1] [--seconds 5] [--rounds 3] [--side 224]

LOADER_RATE is the program of loader_rate.cc in an optimised build; FOLDER has JPEG files. Both cut and resize at random
(RandomResizedCrop's defaults), mirror and normalise to f32. torchvision's columns need LOCKSTEP_PEER_PYTHON, a python that has
torch and torchvision, DALI's LOCKSTEP_DALI_PYTHON, one with nvidia-dali (its CPU operators; no GPU is asked for); without them they
say "not measured". Rounds take turns, and the best of each is printed.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile

# Times torchvision's own ways: Pillow's decoder and pictures, as ImageFolder has them, and its tensors' decoder and transforms.
PEER = """
import sys, threading, time
import torch
from torchvision import io
from torchvision.transforms import v2
from PIL import Image
torch.set_num_threads(1)
files = open(sys.argv[1]).read().split("\\n")[:-1]
files = [line.rsplit(",", 1)[0] for line in files]
threads, seconds, side, kind = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
norm = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
if kind == "pil":
    change = v2.Compose([v2.RandomResizedCrop(side), v2.RandomHorizontalFlip(), v2.PILToTensor(),
                         v2.ToDtype(torch.float32, scale=True), norm])
    load = lambda file: change(Image.open(file).convert("RGB"))
else:
    change = v2.Compose([v2.RandomResizedCrop(side, antialias=True), v2.RandomHorizontalFlip(),
                         v2.ToDtype(torch.float32, scale=True), norm])
    load = lambda file: change(io.decode_jpeg(io.read_file(file), mode=io.ImageReadMode.RGB))
class Files(torch.utils.data.Dataset):
    def __len__(self): return 1 << 30
    def __getitem__(self, i): return load(files[i % len(files)])
loader = iter(torch.utils.data.DataLoader(Files(), batch_size=16, num_workers=threads))
for _ in range(8): next(loader)
begin, count = time.time(), 0
while time.time() - begin < seconds: count += len(next(loader))
print(f"{count / (time.time() - begin):.1f}", flush=True)
import os; os._exit(0)
"""

# DALI's CPU pipeline: the part is chosen before it is decoded, as here.
DALI = """
import os, sys, time
from nvidia.dali import fn, pipeline_def, types
files = [line.rsplit(",", 1)[0] for line in open(sys.argv[1]).read().split("\\n")[:-1]]
threads, seconds, side = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
@pipeline_def(batch_size=16, num_threads=threads, device_id=None, prefetch_queue_depth=2)
def pipe():
    encoded, labels = fn.readers.file(files=files, random_shuffle=True, initial_fill=16)
    pixels = fn.decoders.image_random_crop(encoded, device="cpu", output_type=types.RGB)
    pixels = fn.resize(pixels, size=[side, side], interp_type=types.INTERP_LINEAR, antialias=True)
    return fn.crop_mirror_normalize(pixels, dtype=types.FLOAT, output_layout="HWC", mirror=fn.random.coin_flip(),
                                    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
p = pipe()
p.build()
for _ in range(8): p.run()
begin, count = time.time(), 0
while time.time() - begin < seconds: count += len(p.run()[0])
print(f"{count / (time.time() - begin):.1f}", flush=True)
os._exit(0)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loader_rate")
    parser.add_argument("folder")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--seconds", default="5")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", default="224")
    options = parser.parse_args()
    peer, dali = os.environ.get("LOCKSTEP_PEER_PYTHON"), os.environ.get("LOCKSTEP_DALI_PYTHON")
    best = {}
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as listing:
        for file in sorted(pathlib.Path(options.folder).resolve().glob("*.jp*g")):
            listing.write(f"{file},0\n")
        listing.flush()
        commands = {"Lockstep": [options.loader_rate, listing.name, options.threads, options.seconds, options.side]}
        for kind in ("pil", "tensor") if peer else ():
            commands[f"torchvision, {kind}"] = [peer, "-c", PEER, listing.name, options.threads, options.seconds, options.side,
                                                kind]
        if dali:
            commands["DALI"] = [dali, "-c", DALI, listing.name, options.threads, options.seconds, options.side]
        for _ in range(options.rounds):
            for name, command in commands.items():
                printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                best[name] = max(best.get(name, 0), float(printed))
    for name, rate in best.items():
        print(f"{name:22} {rate:8.1f} pictures/s  {best['Lockstep'] / rate:5.2f}x")
    for name, python, variable in (("torchvision", peer, "LOCKSTEP_PEER_PYTHON"), ("DALI", dali, "LOCKSTEP_DALI_PYTHON")):
        if not python:
            print(f"{name:22} not measured: {variable} is not set")


if __name__ == "__main__":
    main()
