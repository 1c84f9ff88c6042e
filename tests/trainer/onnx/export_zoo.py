"""Exports the models of zoo.py in PyTorch's ways of writing: export_zoo.py FOLDER [MODEL...].

For each model and flavour FOLDER gets MODEL.FLAVOUR.onnx, and beside it a folder MODEL.FLAVOUR with input_N.pb and PyTorch's answers in
inference mode, output_N.pb. Flavours: raw (dynamo, optimize=False, training mode), def (dynamo's defaults), leg (older exporter, training mode
preserved), lege (older, inference, folded). Needs torch, torchvision, timm, transformers, onnx and onnxscript.
"""

import pathlib
import sys
import traceback
import warnings

import onnx
import torch

import zoo


def dynamic(inputs, others):
    shapes = []
    for i, _ in enumerate(inputs):
        dims = {0: torch.export.Dim("batch")}
        if i < len(others):
            dims[1] = torch.export.Dim(others[i])
        shapes.append(dims)
    return tuple(shapes)


def axes(inputs, others):
    return {f"input{i}": {0: "batch"} | ({1: others[i]} if i < len(others) else {}) for i, _ in enumerate(inputs)}


def export(module, inputs, others, flavour, path):
    module.train(flavour != "lege")
    if flavour in ("raw", "def"):
        names = dynamic(inputs, others)
        # A wrapper of *inputs has one argument.
        if isinstance(module, zoo.Logits):
            names = (names,)
        torch.onnx.export(module, inputs, path, dynamo=True, optimize=flavour == "def", dynamic_shapes=names, verbose=False,
                          input_names=[f"input{i}" for i, _ in enumerate(inputs)])
        return
    mode = torch.onnx.TrainingMode.PRESERVE if flavour == "leg" else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(module, inputs, path, dynamo=False, opset_version=17, training=mode, do_constant_folding=flavour == "lege",
                      input_names=[f"input{i}" for i, _ in enumerate(inputs)], dynamic_axes=axes(inputs, others))


def randomise(module):
    """Statistics other than those that modules begin with, so that answers depend on them."""
    generator = torch.Generator().manual_seed(1)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
        if name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)


def keep(folder, inputs, answers):
    folder.mkdir()
    for kind, values in (("input", inputs), ("output", answers)):
        for i, value in enumerate(values):
            data = onnx.numpy_helper.from_array(value.numpy()).SerializeToString()
            (folder / f"{kind}_{i}.pb").write_bytes(data)


def main():
    warnings.filterwarnings("ignore")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    flavours = ["raw", "def", "leg", "lege"]
    for name in sys.argv[2:] or list(zoo.MODELS):
        torch.manual_seed(0)
        try:
            module, inputs, *rest = zoo.MODELS[name]()
        except Exception as error:  # pylint: disable=broad-except
            print(f"{name}: {error!r}"[:300], flush=True)
            continue
        randomise(module)
        others = rest[0] if rest else []
        for flavour in flavours:
            path = folder / f"{name}.{flavour}.onnx"
            if path.with_suffix("").exists():
                continue
            try:
                export(module, inputs, others, flavour, str(path))
                module.eval()
                with torch.no_grad():
                    answers = module(*inputs)
                answers = answers if isinstance(answers, (tuple, list)) else [answers]
                keep(path.with_suffix(""), inputs, answers)
            except Exception as error:  # pylint: disable=broad-except
                text = str(error).strip().split("\n")[0]
                print(f"{name}.{flavour}: not exported: {type(error).__name__}: {text}"[:300], flush=True)
                path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
