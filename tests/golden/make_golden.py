#!/usr/bin/env python3
"""Writes the golden files of golden_test.cc: three training steps of small models as PyTorch takes them.

The files are committed, so that tests need no PyTorch. To make them again, or a new one, in a scratch virtualenv:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch torchvision safetensors numpy
    /tmp/golden/bin/python tests/golden/make_golden.py          # or: make_golden.py NAME...

NAME.safetensors holds, all in float32:

    before.PARAMETER           weights and running statistics before the first step, under the names of both sides
    step1.input                images as [batch, height, width, channels], features, or tokens [batch, time] as floats
    step1.label, step1.target  one of the two; labels as floats, [batch] or [batch, time], -1 where there is none
    step1.length, ...          further inputs under their own names, as floats; of a detector its targets, as
                               data/boxes/center_targets.h has them
    step1.loss                 [1]: the mean over the batch, or over its labels; of a detector the sum of its two means
    step1.gradient.PARAMETER   of that mean
    step2.*, step3.*           the same, each with a batch of its own
    after.PARAMETER            weights and running statistics after the third step
    found0.boxes, ...          of fcos: what torchvision finds in the first picture of step1.input with the weights before:
                               boxes [n, 4] (left, top, right, bottom), scores [n] and labels [n]

FOLDERS are GPT-2 as Hugging Face's transformers saves it (pip install transformers too), for gpt2_test.cc: model.safetensors, or
several such files and their index, config.json, and in expected.safetensors

    tokens                     [batch, time], as floats
    logits                     [batch, time, vocabulary]

The models are written twice, here as PyTorch modules and in golden_test.cc as recipes; their parameters have the same names.
What is printed says how far PyTorch's own float32 is from its float64, over the same weights and batches: the test's
tolerances must lie well above that.
"""

import copy
import pathlib
import shutil
import sys

import numpy
import safetensors.numpy
import torch
from torch import nn
from torch.nn import functional as F

import detector_model
import sequence_models as sequences

STEPS = 3


class ConvNet(nn.Module):
    """The network of examples/mnist.textproto with fewer channels, without dropout."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)
        self.conv2 = nn.Conv2d(8, 12, 5)
        self.fc1 = nn.Linear(12 * 4 * 4, 24)
        self.fc2 = nn.Linear(24, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class BasicBlock(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet8(nn.Module):
    """The network of examples/cifar10.textproto, narrower."""

    def __init__(self, widths=(8, 12, 16)):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = nn.Sequential(BasicBlock(widths[0], widths[0], 1))
        self.layer2 = nn.Sequential(BasicBlock(widths[0], widths[1], 2))
        self.layer3 = nn.Sequential(BasicBlock(widths[1], widths[2], 2))
        self.fc = nn.Linear(widths[2], 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(dim=(2, 3)))


class LayerNormMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = nn.Linear(30, 48)
        self.layer_norm1 = nn.LayerNorm(48, eps=0.01)  # large enough to show
        self.linear2 = nn.Linear(48, 48)
        self.layer_norm2 = nn.LayerNorm(48)
        self.linear3 = nn.Linear(48, 7)

    def forward(self, x):
        x = F.gelu(self.layer_norm1(self.linear1(x)))
        x = x + F.gelu(self.linear2(x))
        return self.linear3(self.layer_norm2(x))


class Regression(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(13, 32)
        self.fc2 = nn.Linear(32, 16)
        self.fc3 = nn.Linear(16, 3)

    def forward(self, x):
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))


class GptLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.ModuleDict(dict(c_attn=nn.Linear(width, 3 * width), c_proj=nn.Linear(width, width)))
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(dict(c_fc=nn.Linear(width, 4 * width), c_proj=nn.Linear(4 * width, width)))

    def forward(self, x):
        n, t, width = x.shape
        q, k, v = self.attn.c_attn(self.ln_1(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn.c_proj(y.transpose(1, 2).reshape(n, t, width))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x))))


class Gpt(nn.Module):
    """GPT-2 with exact GELU; the output layer is the embedding."""

    def __init__(self, vocabulary=19, width=16, heads=4, layers=2, context=15):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.h = nn.ModuleList(GptLayer(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.wte(tokens.long()) + self.wpe.weight[: tokens.shape[1]]
        for layer in self.h:
            x = layer(x)
        return self.ln_f(x) @ self.wte.weight.T


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * self.weight


def turned(x):
    """Rotary positions of heads [n, heads, t, d], as complex numbers: dimension i is the real part of i + d / 2."""
    half = x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * rates
    turn = torch.polar(torch.ones_like(angles), angles).to(torch.complex128 if x.dtype == torch.float64 else torch.complex64)
    y = torch.complex(x[..., :half], x[..., half:]) * turn
    return torch.cat([y.real, y.imag], -1)


class RotaryLayer(nn.Module):
    def __init__(self, width, heads, kv_heads, inner):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, width // heads
        self.ln_1 = RmsNorm(width)
        qkv = nn.Linear(width, (heads + 2 * kv_heads) * self.size, bias=False)
        self.attn = nn.ModuleDict(dict(c_attn=qkv, c_proj=nn.Linear(width, width, bias=False)))
        self.ln_2 = RmsNorm(width)
        up, down = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)
        self.mlp = nn.ModuleDict(dict(c_fc=up, c_proj=down))

    def forward(self, x):
        n, t, width = x.shape
        heads = self.attn.c_attn(self.ln_1(x)).view(n, t, -1, self.size).transpose(1, 2)
        q, k, v = heads.split([self.heads, self.kv_heads, self.kv_heads], 1)
        shared = self.heads // self.kv_heads
        k, v = turned(k).repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
        y = F.scaled_dot_product_attention(turned(q), k, v, is_causal=True)
        x = x + self.attn.c_proj(y.transpose(1, 2).reshape(n, t, width))
        gate, value = self.mlp.c_fc(self.ln_2(x)).chunk(2, -1)
        return x + self.mlp.c_proj(F.silu(gate) * value)


class GptRotary(nn.Module):
    """The knobs that GPT-2 has not: RMS norm, rotary positions, SwiGLU, shared heads of keys, an output layer."""

    def __init__(self, vocabulary=19, width=16, heads=4, kv_heads=2, layers=2, inner=24):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.h = nn.ModuleList(RotaryLayer(width, heads, kv_heads, inner) for _ in range(layers))
        self.ln_f = RmsNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.wte(tokens.long())
        for layer in self.h:
            x = layer(x)
        return self.lm_head(self.ln_f(x))


def cross_entropy(label_smoothing=0.0):
    return lambda y, batch: F.cross_entropy(
        y.flatten(0, -2), batch["label"].long().flatten(), label_smoothing=label_smoothing
    )


def mean_squared_error(y, batch):
    return F.mse_loss(y, batch["target"])


def fcos():
    """The one module that needs torchvision."""
    import fcos_model

    return fcos_model


# The same numbers as in golden_test.cc. `input`: of one sample, [height, width, channels] or [features]; or `tokens`; or
# `make_batch`, and `further`, the names of what the model takes behind the input.
CASES = {
    "convnet": dict(model=ConvNet, input=[28, 28, 1], batch=16, classes=10, loss=cross_entropy(), optimizer=dict(lr=0.1)),
    "resnet8": dict(
        model=ResNet8, input=[16, 16, 3], batch=16, classes=10, loss=cross_entropy(0.1),
        optimizer=dict(lr=0.1, momentum=0.9, nesterov=True), weight_decay=5e-4,
    ),
    "layer_norm_mlp": dict(
        model=LayerNormMlp, input=[30], batch=16, classes=7, loss=cross_entropy(),
        optimizer=dict(lr=0.1, momentum=0.9), weight_decay=1e-2,
    ),
    "regression": dict(model=Regression, input=[13], batch=16, targets=3, loss=mean_squared_error, optimizer=dict(lr=0.05)),
    "gpt": dict(model=Gpt, tokens=12, batch=16, classes=19, loss=cross_entropy(), optimizer=dict(lr=0.1)),
    "gpt_rotary": dict(model=GptRotary, tokens=12, batch=16, classes=19, loss=cross_entropy(), optimizer=dict(lr=0.1)),
    "lstm_ctc": dict(
        model=lambda: sequences.Recurrent("lstm"), make_batch=sequences.make_speech, further=["length"],
        loss=sequences.ctc, optimizer=dict(lr=0.1),
    ),
    "gru_ctc": dict(
        model=lambda: sequences.Recurrent("gru"), make_batch=sequences.make_speech, further=["length"],
        loss=sequences.ctc, optimizer=dict(lr=0.1),
    ),
    "seq2seq_transformer": dict(
        model=sequences.TransformerTranslator, make_batch=sequences.make_pairs, further=["source_length", "tokens"],
        loss=sequences.translation_loss, optimizer=dict(lr=0.1),
    ),
    "seq2seq_lstm": dict(
        model=lambda: sequences.RecurrentTranslator("lstm"), make_batch=sequences.make_pairs,
        further=["source_length", "tokens"], loss=sequences.translation_loss, optimizer=dict(lr=0.1),
    ),
    "seq2seq_gru": dict(
        model=lambda: sequences.RecurrentTranslator("gru"), make_batch=sequences.make_pairs,
        further=["source_length", "tokens"], loss=sequences.translation_loss, optimizer=dict(lr=0.1),
    ),
    "detector": dict(
        model=lambda: detector_model.Detector(BasicBlock), make_batch=detector_model.make_pictures,
        loss=detector_model.detector_loss, optimizer=dict(lr=0.02),
    ),
    "fcos": dict(
        model=lambda: fcos().Fcos(), make_batch=lambda: fcos().make_pictures(),
        loss=lambda y, batch: fcos().fcos_loss(y, batch), found=lambda model, batch: fcos().found_tensors(model, batch),
        optimizer=dict(lr=0.02),
    ),
}  # fmt: skip


def make_model(case):
    """PyTorch's initial weights, but norms and biases away from ones and zeros, where mistakes would hide."""
    model = case["model"]()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            low, high = (0.5, 1.5) if name.endswith("weight") else (-0.5, 0.5)
            nn.init.uniform_(parameter, low, high)
    return model.train()


def make_batch(case):
    """Random, as the optimizer would see it; kept as it goes into the file."""
    if "make_batch" in case:
        return case["make_batch"]()
    if "tokens" in case:
        text = torch.randint(0, case["classes"], (case["batch"], case["tokens"] + 1)).float()
        return {"input": text[:, :-1].contiguous(), "label": text[:, 1:].contiguous()}
    batch = {"input": torch.randn(case["batch"], *case["input"])}
    if "classes" in case:
        batch["label"] = torch.randint(0, case["classes"], (case["batch"],)).float()
    else:
        batch["target"] = torch.randn(case["batch"], case["targets"])
    return batch


def make_optimizer(model, case):
    """Decay leaves out biases and norms."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    decay = case.get("weight_decay", 0.0)
    return torch.optim.SGD([dict(params=matrices, weight_decay=decay), dict(params=vectors)], **case["optimizer"])


def loss_and_gradients(model, case, batch):
    dtype = next(model.parameters()).dtype
    batch = {name: value.to(dtype) for name, value in sequences.samples_of(batch).items()}
    x = batch["input"]
    if x.dim() == 4:
        x = x.permute(0, 3, 1, 2).contiguous()
    model.zero_grad(set_to_none=True)
    loss = case["loss"](model(x, *(batch[name] for name in case.get("further", []))), batch)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters()}


def distance(gradients, exact):
    """The largest error of an element, relative to the whole gradient's L2 norm."""
    norm = torch.sqrt(sum((g**2).sum() for g in exact.values()))
    return (max((gradients[name].double() - g).abs().max() for name, g in exact.items()) / norm).item()


def state(model):
    return {name: value for name, value in model.state_dict().items() if value.dtype == torch.float32}


def run(name, case, seed):
    torch.manual_seed(seed)
    model = make_model(case)
    optimizer = make_optimizer(model, case)
    tensors = {f"before.{key}": value.clone() for key, value in state(model).items()}
    for step in range(1, STEPS + 1):
        batch = make_batch(case)
        if step == 1 and "found" in case:
            tensors.update(case["found"](model, batch))
        exact_loss, exact = loss_and_gradients(copy.deepcopy(model).double(), case, batch)
        loss, gradients = loss_and_gradients(model, case, batch)
        print(
            f"{name} step {step}: loss {loss:.6f}, float32 is off by {abs(loss / exact_loss - 1):.1e} of it,"
            f" gradients by {distance(gradients, exact):.1e} of their norm"
        )
        tensors[f"step{step}.loss"] = torch.tensor([loss])
        tensors.update({f"step{step}.{key}": value for key, value in batch.items()})
        tensors.update({f"step{step}.gradient.{key}": value.clone() for key, value in gradients.items()})
        optimizer.step()
    tensors.update({f"after.{key}": value.clone() for key, value in state(model).items()})
    path = pathlib.Path(__file__).parent / f"{name}.safetensors"
    arrays = {key: numpy.ascontiguousarray(value.detach().numpy()) for key, value in tensors.items()}
    safetensors.numpy.save_file(arrays, path, metadata={"made_by": f"make_golden.py, PyTorch {torch.__version__}"})
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


# Folders of GPT-2, and how they are saved; gpt2_test.cc has the recipe.
FOLDERS = {
    "gpt2": dict(dtype=torch.float32, max_shard_size="1GB"),
    "gpt2_half_in_parts": dict(dtype=torch.float16, max_shard_size="16KB"),
    "gpt2_bfloat16": dict(dtype=torch.bfloat16, max_shard_size="1GB"),
}


def save_gpt2(name, how, seed):
    """Weights large enough that logits spread, and an inner width that makes another square matrix."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=61, n_positions=16, n_embd=24, n_layer=2, n_head=3, n_inner=24, bos_token_id=None, eos_token_id=None
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    for key, parameter in model.named_parameters():
        if parameter.dim() == 1:
            low, high = (0.5, 1.5) if key.endswith("weight") else (-0.5, 0.5)
            nn.init.uniform_(parameter, low, high)
        else:
            nn.init.normal_(parameter, std=0.3)
    # What is computed from are the rounded weights, in float32.
    rounded = model.to(how["dtype"])
    folder = pathlib.Path(__file__).parent / name
    shutil.rmtree(folder, ignore_errors=True)
    rounded.save_pretrained(folder, max_shard_size=how["max_shard_size"])
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokens = torch.randint(0, config.vocab_size, (3, config.n_positions))
    with torch.no_grad():
        logits = rounded.float()(tokens).logits
        exact = rounded.double()(tokens).logits
    arrays = {"tokens": tokens.float().numpy(), "logits": logits.numpy()}
    made_by = f"make_golden.py, PyTorch {torch.__version__}, transformers {transformers.__version__}"
    safetensors.numpy.save_file(arrays, folder / "expected.safetensors", metadata={"made_by": made_by})
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1024
    print(
        f"{folder}: {size:.0f} KiB, logits from {logits.min():.2f} to {logits.max():.2f},"
        f" float32 is off by {(logits - exact).abs().max():.1e}"
    )


def main(names):
    unknown = set(names) - set(CASES) - set(FOLDERS)
    if unknown:
        print(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join([*CASES, *FOLDERS])}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for seed, (name, case) in enumerate(CASES.items(), 1):
        if not names or name in names:
            run(name, case, seed)
    for seed, (name, how) in enumerate(FOLDERS.items(), 1):
        if not names or name in names:
            save_gpt2(name, how, seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
