#!/usr/bin/env python3
"""The work of three recipes in PyTorch with DistributedDataParallel, for `lockstep scale --against`.

    torchrun --nproc-per-node RANKS ddp.py mnist|resnet18|shakespeare --batch GLOBAL --steps N [--threads T]

The models of examples/mnist.textproto, examples/bench/resnet18.textproto and examples/shakespeare.textproto, in float32 on CPUs, over
Gloo. Each process takes its part of the global batch. Samples are random and lie in memory: nothing is read, shifted or evaluated,
which the recipes' own runs do. Rank 0 prints samples a second, of the mean step behind a warm-up of ten.
"""

import argparse
import os
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F


def mnist():
    model = nn.Sequential(nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
    return model, lambda n: (torch.randn(n, 1, 28, 28), torch.randint(0, 10, (n,)))


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
                                  nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.skip = nn.Identity()
        if stride != 1:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.body(x) + self.skip(x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    channels = 64
    for outputs in (64, 128, 256, 512):
        layers += [Residual(channels, outputs, 1 if outputs == channels else 2), Residual(outputs, outputs, 1)]
        channels = outputs
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    model = model.to(memory_format=torch.channels_last)  # faster on CPUs
    return model, lambda n: (torch.randn(n, 3, 32, 32).to(memory_format=torch.channels_last), torch.randint(0, 10, (n,)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width, bias=False) for _ in range(2)])
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        batch, positions, width = x.shape
        q, k, v = self.qkv(self.norms[0](x)).view(batch, positions, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, positions, width))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Gpt(nn.Module):
    def __init__(self, words=65, positions=64, width=128, layers=4, heads=4):
        super().__init__()
        self.words, self.positions = nn.Embedding(words, width), nn.Embedding(positions, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width, bias=False), nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids):
        x = self.words(ids) + self.positions(torch.arange(ids.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def shakespeare():
    return Gpt(), lambda n: (torch.randint(0, 65, (n, 64)), torch.randint(0, 65, (n, 64)))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("work", choices=("mnist", "resnet18", "shakespeare"))
    options.add_argument("--batch", type=int, required=True)
    options.add_argument("--steps", type=int, required=True)
    options.add_argument("--threads", type=int, default=1)
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    model, make_batch = globals()[options.work]()
    batches = [make_batch(options.batch // world) for _ in range(8)]
    trained = model
    if world > 1:
        dist.init_process_group("gloo")
        trained = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    for step in range(options.steps + 10):
        if step == 10:
            begin = time.perf_counter()
        inputs, targets = batches[step % len(batches)]
        loss = F.cross_entropy(trained(inputs).flatten(0, -2), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if options.work == "shakespeare":
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    if rank == 0:
        seconds = time.perf_counter() - begin
        print(f"{options.work} on {world} processes: samples_per_s={options.batch // world * world * options.steps / seconds:.1f}")
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
