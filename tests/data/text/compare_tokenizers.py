#!/usr/bin/env python3
"""Compares our tokens with those of Hugging Face's `tokenizers` and of `sentencepiece`, where they are installed.

    pip install tokenizers sentencepiece
    compare_tokenizers.py compare --tokenize build/release/tests/data/tokenize    # all corpora, odd texts, random ones
    compare_tokenizers.py speed --tokenize build/release/tests/data/tokenize
    compare_tokenizers.py write                                                   # expected_tokens.json, which tests read

Data is read from $LOCKSTEP_DATA, by default ../shared/data beside the repository. `compare` exits 1 where ids differ.
"""

import argparse
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ.get("LOCKSTEP_DATA", HERE.parents[2].parent / "shared" / "data"))
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def added(id, content, **flags):
    token = dict(id=id, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    token.update(flags)
    return token


def variants(size):
    """Names and tokenizer.json without its model, as GPT-2, Llama 3, Qwen and others write it. New ids begin at `size`."""

    def sequence(*steps):
        return {"type": "Sequence", "pretokenizers": list(steps)}

    def one(pre_tokenizer, normalizer=None, tokens=(), ignore_merges=False):
        return dict(version="1.0", truncation=None, padding=None, added_tokens=list(tokens), normalizer=normalizer,
                    pre_tokenizer=pre_tokenizer, post_processor=None,
                    decoder=dict(BYTE_LEVEL, add_prefix_space=True, use_regex=True), ignore_merges=ignore_merges)

    end = added(size, "<|end|>")
    old = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "gpt2": one(old, tokens=[end]),
        "prefix_space": one(dict(old, add_prefix_space=True), tokens=[end]),
        "llama3": one(sequence(split(LLAMA3), BYTE_LEVEL), tokens=[end, added(size + 1, "<|end|><|end|>")],
                      ignore_merges=True),
        "qwen2": one(sequence(split(QWEN2), BYTE_LEVEL), normalizer={"type": "NFC"},
                     tokens=[end, added(size + 1, "caf\u00e9", normalized=True, special=False)]),
        "nfkc": one(old, normalizer={"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "NFKC"}]}),
        "nfkd": one(old, normalizer={"type": "NFKD"}),
        "o200k": one(sequence(split(O200K), BYTE_LEVEL)),
        "removed": one(sequence(split(LLAMA3, "Removed", True), BYTE_LEVEL)),
        "digits": one(sequence({"type": "Digits", "individual_digits": True}, old)),
        "digit_runs": one(sequence({"type": "Digits", "individual_digits": False}, old)),
        "merged_next": one(sequence(split(r"\s+", "MergedWithNext"), BYTE_LEVEL)),
        "merged_previous": one(sequence(split(r"[^\p{L}\d]", "MergedWithPrevious"), BYTE_LEVEL)),
        "contiguous": one(sequence(split(r"\d|\p{L}", "Contiguous"), BYTE_LEVEL)),
        "literal": one(sequence({"type": "Split", "pattern": {"String": "e."}, "behavior": "Isolated", "invert": False},
                                BYTE_LEVEL)),
        "whole": one(BYTE_LEVEL, tokens=[added(size, "<mask>", lstrip=True), added(size + 1, "</s>", rstrip=True)]),
    }


def complete(variant, vocab, merges):
    variant = dict(variant)
    model = dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                 fuse_unk=False, byte_fallback=False, ignore_merges=variant.pop("ignore_merges"), vocab=vocab, merges=merges)
    return dict(variant, model=model)


ODD_TEXTS = [
    "", " ", "  ", "\n", "\r\n", "a", " a", "a ", "Hello world", "Hello, world!  How're you?\n\n\tFine.   ",
    "I'm you're he'll she'd it's we've don't", "I'M YOU'RE HE'LL SHE'D IT'S WE'VE DON'T", "'s's'S 'tis '\u017f o'\u017f x",
    "1 12 123 1234 12345 3.14 \u00bd \u2167 \u0663\u0664 \u00b2", "e\u0301 \u00e9 caf\u00e9 cafe\u0301 n\u0303o a\u0308\u0304 \u1e69 s\u0323\u0307 s\u0307\u0323",
    "\u0301 leading mark, \u200dzwj \ufeffbom", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "\u6771\u4eac\u90fd\u306b\u884c\u304d\u307e\u3059\u3002\u30ab\u30bf\u30ab\u30ca\uff76\uff85 \u4f60\u597d\uff0c\u4e16\u754c \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u202eabc\u202c \u0928\u092e\u0938\u094d\u0924\u0947",
    "\u00a0nbsp\u00a0\u00a0x \u2028line\u2029para \u0085nel \u180emvs \u3000wide \u200bzero\u2003em", "a\u0000b \u0000\u0000 \u0001\u001f\u007f\u0080\u009f",
    " " * 7 + "x" + " " * 100 + "y" + "\t" * 5 + "\n" * 9 + " z" + " " * 64, "a" * 300 + " " + "=" * 200 + "ab" * 150 + "-" * 65,
    "<|end|>x <|end|> <|end|><|end|><|end|>y<|end|", "a <mask>  b</s>  c<mask></s>\n\t<mask>", "caf\u00e9cafe\u0301 xcaf\u00e9x",
    "\ufb01\ufb02 \u2460 \u32a5 \u212b \u2126 \u00c5 \uac00\u1100\u1161", "http://x.y/z?a=b&c=d#e  foo_bar::baz(1+2)*[3]{4};//\r\n\r\n\r\n if (x)  {\n        return;\n}\n",
    "\ue000\uf8ff\U0010ffff\U000f0000\ufffd\ufffe\u2fff\U0001d54f\U00010348 \U00020000", "MiXeD CaSe XMLHttpRequest \u01c5 \u02b0 \u00df \u1e9e STRASSE \u0130\u0131 \u03c2\u03c3\u03a3",
    "\u10d0\u10f0 \u13a0\uab70 \U00010400\U00010428 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0e81 \u1780\u17d2\u179a", "the e.e. e. ee.", "\u2581\u2581 \u2581x <s></s><unk> <0x41>",
]


def read(path):
    return gzip.open(path, "rt", encoding="utf-8").read() if path.suffix == ".gz" else path.read_text(encoding="utf-8")


def corpora(quick=False):
    shakespeare = read(DATA / "tinyshakespeare" / "input.txt")
    texts = {"tinyshakespeare": [shakespeare], "tinyshakespeare, by line": shakespeare.splitlines(keepends=True)}
    for language in "de", "en":
        for part in "train", "val", "test_2016_flickr":
            texts[f"multi30k {part}.{language}"] = read(DATA / "multi30k" / f"{part}.{language}.gz").splitlines()
    texts["odd texts"] = ODD_TEXTS
    texts["random texts"] = random_texts(20000)
    return texts if not quick else {name: texts[name] for name in texts if name.endswith("texts")}


def random_texts(count):
    """Mixtures of what the patterns tell apart. Characters are from Unicode 3.2: libraries know different versions of later ones."""
    rng = random.Random(7)
    import unicodedata

    assigned = [c for c in map(chr, range(0x20000)) if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs")]
    parts = ["'s", "'LL", "'ve", " ", "  ", "\n", "\r", "\t", "\u00a0", "\u2028", "\u3000", "\u0085", "1", "234", "\u0301", "ab", "The",
             "\u00e9", "e\u0301", "\u200d", "!", "...", "_", "<|end|>", "\u4eac", "\u00df", "\u017f", "\0", "\u180e", "\uac00", "\u1161", "\u11a8"]
    return ["".join(rng.choice(parts) if rng.random() < 0.7 else rng.choice(assigned) for _ in range(rng.randint(1, 40)))
            for _ in range(count)]


def pack(texts):
    """Each with its length in front: what tokenize.cc reads."""
    return b"".join(b"%d\n%s" % (len(text), text) for text in (text.encode("utf-8") for text in texts))


def ours(tokenize, arguments, texts):
    """Ids of each text, and whether decoding them gave it again."""
    done = subprocess.run([tokenize, *map(str, arguments)], input=pack(texts), stdout=subprocess.PIPE, check=True)
    lines = done.stdout.decode().split("\n")[:-1]
    return [list(map(int, line.rstrip("!").split())) for line in lines], [not line.endswith("!") for line in lines]


class Tally:
    def __init__(self):
        self.different = 0

    def check(self, name, texts, mine, theirs):
        assert len(mine) == len(theirs) == len(texts)
        wrong = [i for i, (a, b) in enumerate(zip(mine, theirs)) if a != b]
        print(f"{name}: {len(texts)} texts, {sum(map(len, theirs))} tokens, {len(wrong)} texts differ", flush=True)
        for i in wrong[:3]:
            print(f"  {texts[i][:200]!r}\n    ours   {mine[i][:60]}\n    theirs {theirs[i][:60]}")
        self.different += len(wrong)


def gpt2_model():
    folder = DATA / "gpt2-bpe"
    vocab = json.loads(read(folder / "encoder.json"))
    return vocab, [line for line in read(folder / "vocab.bpe").splitlines()[1:] if line]


def compare_byte_level(tokenize, tally, folder, quick):
    import tokenizers

    vocab, merges = gpt2_model()
    texts = corpora(quick)
    for name, variant in variants(len(vocab)).items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(complete(variant, vocab, merges)))
        theirs = tokenizers.Tokenizer.from_file(str(path))
        rest = [t for corpus, ts in texts.items() if "random" not in corpus and "odd" not in corpus for t in ts]
        for corpus, ts in (texts if name == "gpt2" else
                           {"corpora": rest, "odd": texts["odd texts"], "random": texts["random texts"]}).items():
            mine, _ = ours(tokenize, ["json", path], ts)
            tally.check(f"{name}, {corpus}", ts, mine, [e.ids for e in theirs.encode_batch(ts, add_special_tokens=False)])
        if name == "gpt2":
            files = ["bpe", DATA / "gpt2-bpe" / "encoder.json", DATA / "gpt2-bpe" / "vocab.bpe"]
            plain = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(*map(str, files[1:])))
            plain.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
            for corpus, ts in texts.items():
                mine, whole = ours(tokenize, files, ts)
                tally.check(f"encoder.json and vocab.bpe, {corpus}", ts, mine, [e.ids for e in plain.encode_batch(ts)])
                tally.different += whole.count(False)
                if not all(whole):
                    print(f"  {whole.count(False)} texts come back different from Decode")


def compare_sentencepiece(tokenize, tally, folder, quick):
    import sentencepiece

    texts = corpora()
    lines = [line.strip() for side in ("de", "en") for line in texts[f"multi30k train.{side}"]]
    texts = corpora(quick)
    for kind in "bpe", "unigram":
        for options in ({}, {"byte_fallback": True, "character_coverage": 0.99},
                        {"user_defined_symbols": ["<x>", "A man", "ab"], "remove_extra_whitespaces": False},
                        {"normalization_rule_name": "identity", "treat_whitespace_as_suffix": True},
                        {"normalization_rule_name": "nmt_nfkc_cf", "add_dummy_prefix": False, "split_digits": True}):
            prefix = str(folder / kind)
            settings = dict(character_coverage=1.0, pad_id=0, bos_id=1, eos_id=2, unk_id=3)
            settings.update(options)
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_prefix=prefix, vocab_size=4000,
                                                     model_type=kind, minloglevel=2, **settings)
            theirs = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
            for corpus, ts in texts.items():
                mine, whole = ours(tokenize, ["sentencepiece", prefix + ".model"], ts)
                ids = theirs.encode(ts)
                tally.check(f"{kind} {options}, {corpus}", ts, mine, ids)
                wrong = sum((theirs.decode(i) == t) != w for i, t, w in zip(ids, ts, whole))
                if wrong:
                    print(f"  {wrong} texts decode differently")
                    tally.different += wrong


def compare(args):
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        if "byte-level" in args.what:
            compare_byte_level(args.tokenize, tally, pathlib.Path(folder), args.quick)
        if "sentencepiece" in args.what:
            compare_sentencepiece(args.tokenize, tally, pathlib.Path(folder), args.quick)
    print("all equal" if tally.different == 0 else f"{tally.different} texts differ")
    return tally.different != 0


def speed(args):
    """One thread each, in processor time, so that what else runs counts less. Both take one text after the other."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import tokenizers

    vocab, merges = gpt2_model()
    texts = corpora()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "t.json"
        for name in "gpt2", "llama3", "qwen2", "o200k":
            path.write_text(json.dumps(complete(variants(len(vocab))[name], vocab, merges)))
            theirs = tokenizers.Tokenizer.from_file(str(path))
            for corpus in "tinyshakespeare", "tinyshakespeare, by line", "multi30k train.en", "multi30k train.de":
                ts = texts[corpus]
                mine = subprocess.run([args.tokenize, "--repeat", "5", "json", path], input=pack(ts), stdout=subprocess.PIPE,
                                      check=True).stdout.decode().splitlines()
                rates = []
                for _ in range(3):
                    begin = time.thread_time()
                    for t in ts:
                        theirs.encode(t, add_special_tokens=False)
                    rates.append(sum(len(t.encode()) for t in ts) / (time.thread_time() - begin) / 1e6)
                print(f"{name}, {corpus}: ours first {mine[0]}, later {mine[-1]}; theirs {rates[0]:.1f}, {rates[-1]:.1f} MB/s",
                      flush=True)
    return 0


def write(args):
    """A small vocabulary, and what `tokenizers` makes of the odd texts with it; GPT-2's ids of them too."""
    import tokenizers

    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=512, show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    trained.train_from_iterator(read(DATA / "tinyshakespeare" / "input.txt")[:200000].splitlines() + ODD_TEXTS * 3, trainer)
    model = json.loads(trained.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    cases = []
    for name, variant in variants(len(model["vocab"])).items():
        whole = complete(variant, model["vocab"], merges)
        theirs = tokenizers.Tokenizer.from_str(json.dumps(whole))
        ids = [theirs.encode(text, add_special_tokens=False).ids for text in ODD_TEXTS]
        cases.append(dict(name=name, tokenizer=dict(variant), ids=ids))
    vocab, gpt2_merges = gpt2_model()
    gpt2 = tokenizers.Tokenizer.from_str(json.dumps(complete(dict(variants(0)["gpt2"], added_tokens=[]), vocab, gpt2_merges)))
    table = dict(made_by=f"compare_tokenizers.py write, tokenizers {tokenizers.__version__}", texts=ODD_TEXTS,
                 vocab=list(model["vocab"]) if list(model["vocab"].values()) == list(range(len(model["vocab"]))) else
                 sorted(model["vocab"], key=model["vocab"].get), merges=merges, cases=cases,
                 gpt2_ids=[gpt2.encode(text).ids for text in ODD_TEXTS])
    lines = ",\n".join(f"{json.dumps(key)}: " + (
        "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in value) + "]" if key in ("texts", "cases") else
        json.dumps(value, separators=(",", ":"))) for key, value in table.items())
    (HERE / "expected_tokens.json").write_text("{\n" + lines + "\n}\n")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("compare", "speed", "write"))
    parser.add_argument("--tokenize", help="the program of tokenize.cc")
    parser.add_argument("--what", nargs="+", default=["byte-level", "sentencepiece"], choices=["byte-level", "sentencepiece"])
    parser.add_argument("--quick", action="store_true", help="only odd and random texts")
    args = parser.parse_args()
    if args.action != "write" and not args.tokenize:
        parser.error("--tokenize is missing")
    return {"compare": compare, "speed": speed, "write": write}[args.action](args)


if __name__ == "__main__":
    sys.exit(main())
