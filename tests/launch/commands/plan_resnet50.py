#!/usr/bin/env python3
"""plan_resnet50.py LOCKSTEP: what `lockstep plan` says of ResNet-50 on an 80 GB GPU, against arithmetic done by hand."""

import re
import subprocess
import sys
import tempfile

RECIPE = """
name: "resnet50"
model { resnet { depth: 50 } }
data { train { synthetic { samples: 512 image { height: 224 width: 224 channels: 3 } classes: 1000 } } }
train { steps: 20 global_batch: 256 lanes: 1 seed: 1 evaluation_block: 256 }
optimizer { sgd { momentum: 0.9 } learning_rate: 0.1 }
"""
GIB, MIB = 2**30, 2**20

# What the backward pass reads of one sample, in elements: the output of every convolution (batch norm's input), and the outputs
# of batch norms and sums that are some convolution's input. A bottleneck of width w on a grid of p cells has convolutions of w, w
# and 4w channels, and keeps w, w and 4w more; the first of a stage has a fourth convolution of 4w on the shortcut, and its first
# convolution and norm are on the larger grid of the stage before.
#   grid 56^2, width  64, 3 blocks:  3 * 12 *  64 * 3136 + 4 *  64 * 3136                              =  8,028,160
#   grid 28^2, width 128, 4 blocks:  4 * 12 * 128 *  784 + 4 * 128 *  784 + 2 * 128 * (3136 -  784)    =  5,820,416
#   grid 14^2, width 256, 6 blocks:  6 * 12 * 256 *  196 + 4 * 256 *  196 + 2 * 256 * ( 784 -  196)    =  4,114,432
#   grid  7^2, width 512, 3 blocks:  3 * 12 * 512 *   49 + 4 * 512 *   49 + 2 * 512 * ( 196 -   49)    =  1,154,048
#   stem: convolution on 112^2 * 64, the pool's result on 56^2 * 64 and its index (a byte)             =  1,103,872
# And the image, which in bf16 has zeros behind its channels, 8 in all.
# (The stem's norm is no convolution's input, and its relu's mask is found from the convolution.)
KEPT = 8_028_160 + 5_820_416 + 4_114_432 + 1_154_048 + 1_103_872
IMAGE = 224 * 224
PARAMETERS = 25_557_032  # torchvision's count
STATISTICS = 2 * 26_560  # a mean and a variance for each channel of 53 batch norms
FORWARD_MACS = 4.09e9  # He et al. 2016 count 3.8e9 with the stride in the first convolution; in the second, 4.09e9
STEM_MACS = 112 * 112 * 64 * 147  # whose input needs no gradient


def number(text, name):
    value, unit = re.search(rf"^ +{name} +([0-9.]+) (KiB|MiB|GiB)", text, re.M).groups()
    return float(value) * {"KiB": 1024, "MiB": MIB, "GiB": GIB}[unit]


def expect(name, actual, expected, tolerance):
    print(f"{name}: {actual:.4g}, by hand {expected:.4g}")
    if abs(actual - expected) > tolerance * expected:
        sys.exit(f"FAILED: {name} is off by more than {tolerance:.0%}")


def plan(lockstep, recipe, *options):
    return subprocess.run([lockstep, "plan", recipe, *options], check=True, capture_output=True, text=True).stdout


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".textproto") as recipe:
        recipe.write(RECIPE)
        recipe.flush()
        text = plan(sys.argv[1], recipe.name, "--gpu-memory", "80")
        arena = 4 * (PARAMETERS + STATISTICS)
        expect("parameters", number(text, "parameters"), arena, 0.01)
        expect("gradients", number(text, "gradients"), arena, 0.01)  # one lane writes where it is read
        expect("optimizer", number(text, "optimizer"), arena, 0.01)  # momentum
        expect("activations in bf16", number(text, "activations"), 2 * 256 * (KEPT + 8 * IMAGE), 0.02)
        # The images, as bytes, where training and evaluation read them, and on their way there: two batches of training, one of evaluation.
        expect("inputs", number(text, "inputs"), 5 * 256 * 224 * 224 * 3, 0.01)
        # Forward, input gradient and weight gradient cost the same; the image needs no gradient.
        flop = float(re.search(r"([0-9.e+]+) FLOP a sample", text).group(1))
        expect("work of a sample", flop, 2 * (3 * FORWARD_MACS - STEM_MACS), 0.02)
        if "it fits" not in text:
            sys.exit("FAILED: it should fit")
        floats = plan(sys.argv[1], recipe.name, "--gpu-memory", "80", "--set", "train.precision=F32")
        expect("activations in float", number(floats, "activations"), 4 * 256 * (KEPT + 3 * IMAGE), 0.02)
        if "it does not fit" not in plan(sys.argv[1], recipe.name, "--gpu-memory", "10"):
            sys.exit("FAILED: it should not fit into 10 GiB")


main()
