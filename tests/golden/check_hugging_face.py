#!/usr/bin/env python3
"""Hugging Face's transformers against init_from and export, there and back; not part of the tests, since it needs both.

    pip install torch transformers sentencepiece protobuf
    check_hugging_face.py --lockstep build/release/lockstep --tokenize build/release/tests/data/tokenize [--layers 12]

Models: random weights of GPT-2's shape go through save_pretrained, train { init_from } (one step that changes nothing, for
its rate is 1e-30), export and from_pretrained, once as one float32 file, once as float16 in several: logits of what came back are
compared with those of the original, and the loss that the run reported on a text with what transformers makes of it. Tokenizers:
each kind that a recipe may name is exported with a small model, and AutoTokenizer must give the ids that ours gives, and the text
again. Data are read from $LOCKSTEP_DATA, by default ../shared/data beside the repository. Exits 1 where something differs.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import sentencepiece
import tokenizers
import torch
import transformers

DATA = pathlib.Path(os.environ.get("LOCKSTEP_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"))
TEXT = DATA / "tinyshakespeare" / "input.txt"
GPT2_FILES = [DATA / "gpt2-bpe" / "encoder.json", DATA / "gpt2-bpe" / "vocab.bpe"]
GPT2 = f'byte_level_bpe {{ vocabulary: "{GPT2_FILES[0]}" merges: "{GPT2_FILES[1]}" }}'
BLOCK = 64
TEXTS = ["First Citizen:\nBefore we proceed any further, hear me speak.", "  two  spaces \n\n\n and lines ", "a.b,c's -- KING'S"]
ANY_TEXTS = ["na\u00efve \u00a9 \u6771\u4eac \U0001f600\ttab", "it's 1234567 o'clock\u2026"]

failed = []


def check(name, good, numbers):
    print(f"{'good' if good else 'BAD '}  {name}: {numbers}", flush=True)
    if not good:
        failed.append(name)


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, **options)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr.decode()}{done.stdout.decode()}")
    return done.stdout


def recipe(model, data, init_from=None):
    begin = f'init_from: "{init_from}"' if init_from else ""
    return (
        f'name: "check" model {{ gpt {{ {model} }} }} data {{ {data} }}'
        f" train {{ steps: 1 global_batch: 1 lanes: 1 precision: F32 device: CPU {begin} }}"
        f" optimizer {{ sgd {{}} learning_rate: 1e-30 }}"
    )


def train_and_export(lockstep, folder, text):
    (folder / "check.textproto").write_text(text)
    for name in ("run", "exported"):
        shutil.rmtree(folder / name, ignore_errors=True)
    run(lockstep, "train", folder / "check.textproto", "--out", folder / "run")
    run(lockstep, "export", folder / "run", folder / "exported")
    return folder / "exported"


def loss_of(model, tokenizer, text):
    """The mean over the tokens of all whole blocks, each with those before it in its block."""
    ids = torch.tensor(tokenizer(text)["input_ids"])
    blocks = (len(ids) - 1) // BLOCK
    inputs, labels = ids[: blocks * BLOCK].view(-1, BLOCK), ids[1 : blocks * BLOCK + 1].view(-1, BLOCK)
    with torch.no_grad():
        return torch.nn.functional.cross_entropy(model(inputs).logits.flatten(0, 1).double(), labels.flatten()).item()


def loss_of_run(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row.get("split") == "test"][-1]


def check_model(lockstep, root, layers, name, dtype, shards):
    torch.manual_seed(1)
    config = transformers.GPT2Config(n_layer=layers)
    model = transformers.GPT2LMHeadModel(config).eval()
    for key, parameter in model.named_parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, mean=1.0 if "ln_" in key and key.endswith("weight") else 0.0, std=0.1)
    model = model.to(dtype)
    folder = root / name
    folder.mkdir()
    model.save_pretrained(folder / "theirs", max_shard_size=shards)
    model = model.float()
    files = len(list((folder / "theirs").glob("*.safetensors")))
    exported = train_and_export(
        lockstep,
        folder,
        recipe(
            f"layers: {layers} heads: 12 width: 768 context: 1024 feed_forward: GELU_TANH",
            f'block: {BLOCK} tokenizer {{ {GPT2} }} train {{ text {{ file: "{TEXT}" end: 0.05 }} }}'
            f' test {{ text {{ file: "{TEXT}" begin: 0.9 end: 0.902 }} }}',
            folder / "theirs",
        ),
    )
    text = TEXT.read_text()
    part = text[int(0.9 * len(text)) : int(0.902 * len(text))]
    our_loss, their_loss = loss_of_run(folder / "run"), loss_of(model, transformers.AutoTokenizer.from_pretrained(exported), part)
    back = transformers.AutoModelForCausalLM.from_pretrained(exported).eval()
    tokens = torch.randint(0, config.vocab_size, (2, 256))
    with torch.no_grad():
        ours, theirs = back(tokens).logits, model(tokens).logits
    before, after = model.state_dict(), back.state_dict()
    moved = max((after[key] - value).abs().max().item() for key, value in before.items())
    error = (ours - theirs).abs().max().item()
    count = sum(parameter.numel() for parameter in model.parameters())
    check(
        name,
        error <= 1e-4 and before.keys() == after.keys() and abs(our_loss - their_loss) <= 1e-5 * their_loss,
        f"{count} parameters in {files} files differ by {moved:.1e} at most, logits by {error:.1e} (they reach"
        f" {theirs.abs().max():.1f}); a text's loss is {our_loss:.6f} here, {their_loss:.6f} there",
    )
    shutil.rmtree(folder)


def ids_of(tokenize, words, texts):
    records = b"".join(b"%d\n%s" % (len(text.encode()), text.encode()) for text in texts)
    lines = run(tokenize, *words, input=records).decode().splitlines()
    return [[int(word) for word in line.rstrip("!").split()] for line in lines]


def check_tokenizer(arguments, root, name, field, words, texts, exact=True):
    folder = root / name
    folder.mkdir()
    data = f'block: 16 tokenizer {{ {field} }} train {{ text {{ file: "{TEXT}" end: 0.05 }} }}'
    exported = train_and_export(arguments.lockstep, folder, recipe("layers: 1 heads: 2 width: 8 context: 64 bias: false", data))
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    ours = ids_of(arguments.tokenize, words, texts)
    theirs = [tokenizer(text)["input_ids"] for text in texts]
    same = sum(a == b for a, b in zip(ours, theirs))
    decoded = sum(tokenizer.decode(ids) == text for ids, text in zip(theirs, texts))
    model = transformers.AutoModelForCausalLM.from_pretrained(exported)
    rows = model.get_input_embeddings().weight.shape[0]
    start = torch.tensor([theirs[0][:8]])
    made = model.generate(start, attention_mask=torch.ones_like(start), max_new_tokens=4, do_sample=False, pad_token_id=0)
    check(
        f"{name} ({type(tokenizer).__name__})",
        same == len(texts) and len(tokenizer) == rows and (decoded == len(texts) or not exact),
        f"{same} of {len(texts)} texts have our ids, {decoded} come back; {len(tokenizer)} tokens for {rows} rows;"
        f" generate made {made.shape[1] - start.shape[1]}",
    )


def check_tokenizers(arguments, root):
    check_tokenizer(arguments, root, "characters", "characters {}", ["characters", TEXT], TEXTS)
    check_tokenizer(arguments, root, "bytes", "bytes {}", ["bytes"], TEXTS + ANY_TEXTS)
    check_tokenizer(arguments, root, "byte_level_bpe", GPT2, ["bpe", *GPT2_FILES], TEXTS + ANY_TEXTS)

    trained = tokenizers.ByteLevelBPETokenizer()
    trained.train([str(TEXT)], vocab_size=600, special_tokens=["<|endoftext|>", "<s>"], show_progress=False)
    trained.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    trained.save(str(root / "tokenizer.json"))
    path = root / "tokenizer.json"
    check_tokenizer(arguments, root, "tokenizer_json", f'tokenizer_json: "{path}"', ["json", path], TEXTS + ANY_TEXTS)

    for kind in ("bpe", "unigram"):
        sentencepiece.SentencePieceTrainer.train(
            input=str(TEXT), model_prefix=str(root / kind), vocab_size=600, model_type=kind, byte_fallback=True,
            pad_id=0, bos_id=1, eos_id=2, unk_id=3, minloglevel=2,
        )  # fmt: skip
        path = root / f"{kind}.model"
        check_tokenizer(
            arguments, root, f"sentencepiece_{kind}", f'sentencepiece: "{path}"', ["sentencepiece", path],
            TEXTS + ANY_TEXTS, exact=False,
        )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", required=True, type=pathlib.Path)
    parser.add_argument("--tokenize", required=True, type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=12)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"transformers {transformers.__version__}, PyTorch {torch.__version__}, tokenizers {tokenizers.__version__}")
    with tempfile.TemporaryDirectory() as root:
        check_tokenizers(arguments, pathlib.Path(root))
        check_model(arguments.lockstep, pathlib.Path(root), arguments.layers, "float32", torch.float32, "5GB")
        check_model(arguments.lockstep, pathlib.Path(root), arguments.layers, "float16_in_parts", torch.float16, "100MB")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
