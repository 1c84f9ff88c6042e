#!/usr/bin/env python3
"""bench_torch.py WORKLOAD --seconds S [--compile] [--small]: samples/s of PyTorch training what a recipe of check.sh trains.

bf16 autocast, random samples that lie on the device: no loader. ResNets: channels-last, SGD with momentum. GPT-2's
smallest shape: scaled_dot_product_attention, fused AdamW, a batch as MICRO_BATCHES ones whose gradients add up, since
logits of all at once leave no memory. Prints one line, "torch VERSION WORKLOAD eager|compiled: RATE samples/s, PEAK MiB". Ends with 77 where there is no torch, or no GPU for it.
"""

import argparse
import statistics
import sys
import time

try:
    import torch
    from torch import nn
except ImportError:
    print("SKIPPED: this python3 has no torch")
    sys.exit(77)

SKIPPED = 77
BATCHES = {"resnet50": 256, "resnet18": 1024, "gpt2": 64}
MICRO_BATCHES = {"gpt2": 4}
VOCABULARY, CONTEXT = 50257, 1024


class Block(nn.Module):
    """Two 3x3 convolutions (ResNet-18), or 1x1, 3x3, 1x1 with four times the width (ResNet-50)."""

    def __init__(self, channels, width, stride, bottleneck):
        super().__init__()
        out = width * (4 if bottleneck else 1)
        kernels = [(1, 1), (3, stride), (1, 1)] if bottleneck else [(3, stride), (3, 1)]
        widths = [channels] + [width] * (len(kernels) - 1) + [out]
        layers = []
        for i, (kernel, step) in enumerate(kernels):
            layers += [nn.Conv2d(widths[i], widths[i + 1], kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(widths[i + 1])]
            if i + 1 < len(kernels):
                layers.append(nn.ReLU(inplace=True))
        self.body = nn.Sequential(*layers)
        self.shortcut = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet(workload):
    bottleneck = workload == "resnet50"
    if bottleneck:
        stem, classes = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)], 1000
    else:
        stem, classes = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True)], 10
    layers, channels = stem, 64
    for stage, blocks in enumerate([3, 4, 6, 3] if bottleneck else [2, 2, 2, 2]):
        width = 64 << stage
        for block in range(blocks):
            layers.append(Block(channels, width, 2 if stage > 0 and block == 0 else 1, bottleneck))
            channels = width * (4 if bottleneck else 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)), classes


class Layer(nn.Module):
    """A pre-norm decoder layer."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        rows, places, width = x.shape
        parts = self.qkv(self.norms[0](x)).view(rows, places, 3, self.heads, -1).transpose(1, 3)
        q, k, v = parts.unbind(2)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(y.transpose(1, 2).reshape(rows, places, width))
        return x + self.feed_forward(self.norms[1](x))


class Gpt(nn.Module):
    def __init__(self, layers, width, heads, vocabulary):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(CONTEXT, width)
        self.layers, self.norm = nn.ModuleList(Layer(width, heads) for _ in range(layers)), nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1], device=tokens.device))
        for layer in self.layers:
            x = layer(x)
        return nn.functional.linear(self.norm(x), self.tokens.weight)


def image_workload(options, device, batch):
    """The model, its optimizer, and a batch."""
    model, classes = resnet(options.workload)
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    size = 32 if options.small or options.workload == "resnet18" else 224
    images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    return model, optimizer, images, torch.randint(classes, (batch,), device=device)


def text_workload(options, device, batch):
    layers, width, heads, vocabulary, places = (1, 16, 2, 20, 16) if options.small else (12, 768, 12, VOCABULARY, CONTEXT)
    model = Gpt(layers, width, heads, vocabulary).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    tokens = torch.randint(vocabulary, (batch, places + 1), device=device)
    return model, optimizer, tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", choices=BATCHES)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--small", action="store_true", help="a tiny batch, also on the CPU: tries this script")
    options = parser.parse_args()
    if not torch.cuda.is_available() and not options.small:
        print("SKIPPED: torch sees no GPU")
        return SKIPPED
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch = 2 if options.small else BATCHES[options.workload]
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    make = text_workload if options.workload == "gpt2" else image_workload
    model, optimizer, inputs, labels = make(options, device, batch)
    parts = min(batch, MICRO_BATCHES.get(options.workload, 1))
    run = torch.compile(model) if options.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        for part, wanted in zip(inputs.chunk(parts), labels.chunk(parts)):
            with torch.autocast(device, dtype=torch.bfloat16):
                loss = nn.functional.cross_entropy(run(part).flatten(0, -2), wanted.flatten()) / parts
            loss.backward()
        optimizer.step()

    def timed(steps):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps

    for _ in range(1 if options.small else 8):
        step()
    once = timed(1 if options.small else 3)
    steps = 1 if options.small else max(3, round(options.seconds / 5 / once))
    seconds = statistics.median(timed(steps) for _ in range(1 if options.small else 5))
    peak = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0
    mode = "compiled" if options.compile else "eager"
    print(f"torch {torch.__version__} {options.workload} {mode}: {batch / seconds:.1f} samples/s, {peak:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
