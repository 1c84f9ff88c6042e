"""Trains imported models beside PyTorch: train_models.py LOCKSTEP FOLDER [MODEL...].

Each model of zoo.py, without dropout, is exported in training mode (dynamo, optimize=False), imported, and takes three steps of SGD on one
batch of random inputs and targets, here and there. Prints by model the largest difference of a loss from PyTorch's, as a part of it; the
distance of all parameters from where PyTorch moves them in double precision, as a part of their way; and the same of PyTorch in single
precision, which is the noise of such a model. Needs torch, torchvision, timm, transformers, onnx and onnxscript.
"""

import copy
import json
import pathlib
import re
import shutil
import subprocess
import sys
import warnings

import numpy
import safetensors.torch
import torch

import export_zoo
import zoo

STEPS, RATE = 3, 0.05


def still(module):
    """No random numbers, which two programs draw differently."""
    for part in module.modules():
        if "dropout" in type(part).__name__.lower():
            part.p = 0.0
        for name in ("drop_prob", "p"):
            if "Drop" in type(part).__name__ or "Stochastic" in type(part).__name__:
                if hasattr(part, name):
                    setattr(part, name, 0.0)
        for name in ("dropout", "attention_dropout", "attn_dropout", "activation_dropout"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)
    return module


def first(answer):
    return answer[0] if isinstance(answer, (tuple, list)) else answer


def fields(recipe, inputs, folder):
    lines = []
    declared = re.findall(r'input \{ name: "(\w+)"(?: field: "(\w+)")?', recipe)
    for (name, field), value in zip(declared, inputs):
        field = field or name
        array = value.numpy()
        if field == "image":
            array = array.transpose(0, 2, 3, 1)
        ids = not value.is_floating_point()
        numpy.save(folder / f"{field}.npy", array.astype(numpy.int32) if ids else array)
        lines.append(f'field {{ name: "{field}" file: "{field}.npy"{" ids: true" if ids else ""} }}')
    return "\n".join(lines)


def train_here(lockstep, folder, inputs, goal):
    text = (folder / "recipe.textproto").read_text()
    recipe = text[: text.index("\ntrain {")] if "\ntrain {" in text else text
    recipe = re.sub(r"\ndata \{.*?\n\}", "", recipe, flags=re.S)
    recipe = recipe.replace('field: "tokens"', 'field: "words"')  # arrays have no field of the texts' name
    end = recipe.rindex("}\n}")
    recipe = recipe[:end] + '  loss { target: "goal" mean_squared_error {} }\n  ' + recipe[end:]
    numpy.save(folder / "goal.npy", goal.numpy())
    rows = fields(recipe, inputs, folder)
    normalize = "normalize { scale: 1 }" if '"image"' in rows else ""
    recipe += f"""
data {{ train {{ arrays {{ {rows} target {{ name: "goal" file: "goal.npy" }} }} }} {normalize} }}
train {{ steps: {STEPS} global_batch: {len(goal)} lanes: 1 seed: 1 log_every_steps: 1 precision: F32 init_from: "weights.safetensors" }}
optimizer {{ sgd {{}} learning_rate: {RATE} }}
"""
    path = folder / "train.textproto"
    path.write_text(recipe)
    shutil.rmtree(folder / "run", ignore_errors=True)
    for command in (["train", path, "--out", folder / "run", "--progress", "off"], ["export", folder / "run", folder / "end.safetensors", "--force"]):
        done = subprocess.run([lockstep, *map(str, command)], capture_output=True, text=True, check=False)
        if done.returncode != 0 and "--force" not in done.stderr:
            raise RuntimeError(done.stderr.strip().split("\n")[-1][:400])
    rows = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().split("\n") if line]
    return [row["loss"] for row in rows if "split" not in row or row["split"] == "train"][:STEPS]


def train_there(module, inputs, goal):
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = ((first(module(*inputs)) - goal) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def movement_of(before, module, end):
    """How far `end` is from where `module` has moved to, as a part of its way, and how many parameters `end` lacks."""
    moved = error = missing = 0.0
    for name, value in module.named_parameters():
        found = end.get(name)
        if found is None or found.numel() != value.numel():
            missing += 1
            continue
        there = value.detach()
        moved += ((there - before[name]) ** 2).sum().item()
        error += ((found.reshape(there.shape) - there) ** 2).sum().item()
    return (error / max(moved, 1e-30)) ** 0.5, int(missing)


def compare(lockstep, name, root):
    torch.manual_seed(0)
    module, inputs, *rest = zoo.MODELS[name]()
    export_zoo.randomise(module)
    still(module).train()
    inputs = tuple(torch.cat([x] * 4) if i else torch.cat([x] * 4) for i, x in enumerate(inputs))
    inputs = tuple(x + torch.randn_like(x) if x.is_floating_point() else x for x in inputs)
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    others = rest[0] if rest else []
    export_zoo.export(module, inputs, others, "raw", str(folder / "model.onnx"))
    dims = [f"--dim={other}={inputs[i].shape[1]}" for i, other in enumerate(others)]
    done = subprocess.run([lockstep, "import", str(folder / "model.onnx"), "--out", str(folder), "--force", *dims], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[:400])
    with torch.no_grad():
        state = {key: value.clone() for key, value in module.state_dict().items()}
        goal = torch.randn_like(first(module(*inputs)))
    module.load_state_dict(state)
    here = train_here(lockstep, folder, inputs, goal)
    there = train_there(module, inputs, goal)
    exact = copy.deepcopy(module).double()
    exact.load_state_dict({key: value.double() if value.is_floating_point() else value for key, value in state.items()})
    train_there(exact, tuple(x.double() if x.is_floating_point() else x for x in inputs), goal.double())
    noise = movement_of(state, exact, dict(module.named_parameters()))[0]
    losses = max(abs(a - b) / abs(b) for a, b in zip(here, there))
    moved, missing = movement_of(state, exact, safetensors.torch.load_file(folder / "end.safetensors"))
    note = f"  ({missing} parameters under other names)" if missing else ""
    return f"{losses:10.1e} {moved:10.1e} {noise:10.1e}{note}"


def main():
    warnings.filterwarnings("ignore")
    lockstep, root = sys.argv[1], pathlib.Path(sys.argv[2])
    print(f"{'model':28}{'loss':>10} {'movement':>10} {'torch':>10}")
    for name in sys.argv[3:] or list(zoo.MODELS):
        try:
            result = compare(lockstep, name, root)
        except Exception as error:  # pylint: disable=broad-except
            result = f"{type(error).__name__}: {error}"
        print(f"{name:28}{result}", flush=True)


if __name__ == "__main__":
    main()
