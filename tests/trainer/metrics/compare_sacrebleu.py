#!/usr/bin/env python3
"""Compares our BLEU and chrF with those of sacreBLEU, where it is installed.

    pip install sacrebleu==2.6.0
    compare_sacrebleu.py compare --score build/release/tests/trainer/metrics/score   # Multi30k's test set, corrupted at random
    compare_sacrebleu.py write                                                       # expected_scores.json, which tests read

Data is read from $LOCKSTEP_DATA, by default ../shared/data beside the repository. `compare` exits 1 where a count of any
sentence differs, or a score by more than 0.01.
"""

import argparse
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ.get("LOCKSTEP_DATA", HERE.parents[2].parent / "shared" / "data"))

# What was written, and its reference.
PAIRS = [
    ("A man is riding a horse.", "A man is riding a horse."),
    ("A man rides a brown horse .", "A man is riding a horse."),
    ("the the the the the the the", "the cat is on the mat"),
    ("", "Nothing was written."), ("Something was written", ""), ("", ""), ("   ", "a"), ("Two words", "Two words"), ("one", "one"),
    ("a b c", "c b a"), ("completely different", "nothing alike here"),
    ("He paid $1,234.56 (about 1.000,5 EUR), or 3-4 x.", "He paid $1,234.50 (about 1.000,5 EUR), or 3-5 x."),
    ("end. Start,of ,.,. ..., 1. 2, .3 ,4 5.6.7,8", "end . Start , of ,.,. ... 1 . 2 , .3 ,4 5.6.7,8"),
    ("well-known 1-2 a-1 1-a -1 1--2", "well - known 1 - 2 a-1 1- a -1 1 --2"),
    ("it's \"quoted\" 'single' `back` {x} [y] ~z ^ \\ | <t> @me #1 50% a/b", "it 's &quot;quoted&quot; ' single ' `back` {x}[y] ~ z"),
    ("&quot;a&amp;b&lt;c&gt;&quot; &amp;lt; &apos;", "\"a&b<c>\" < '"), ("a <skipped> b<skipped>c", "a b c"),
    ("dash-\nbreak line\nbreak end-\n", "dashbreak line break end-"), ("two--\n\nlines", "two- lines"),
    ("Ein Mädchen läuft über die Straße.", "Ein Madchen lauft uber die Strasse."), ("Größe, Übung; Äpfel: œuvre!", "Größe, Übung; Äpfel: œuvre!"),
    ("東京に行きます。カタカナ", "東京都に行きました。カタカナ"), ("你好,世界.再见", "你好，世界。再见"), ("שלום עולם مرحبا", "שלום مرحبا"),
    ("👨‍👩‍👧 👍🏽 🇩🇪 x", "👨‍👩‍👧 👍 🇩🇪 x"), ("e\u0301tude n\u0303o", "étude ño"), ("é.ü,é1.ü2,é", "é . ü , é1.ü2,é"),
    ("a\u00a0b\u2003c\u3000d\u0085e\u2028f\u001cg\u200bh\ufeffi", "a b c d e f g h i"), (" \u2003 lead and trail \u3000\t\n", "lead and trail"),
    ("٣٫٤ ½ ２.５,６ ²", "٣ ٫ ٤ ½ ２ . ５ , ６ ²"), ("nul\0inside a\x7fb", "nul inside ab"), ("ſtraße ŒUVRE İı ẞ", "straße œuvre iı SS"),
    ("abcdef" * 20, "abcdef" * 19 + "abc"), ("a " * 40, "a " * 37), ("aa", "aaa"), ("abcde", "abcdefg"), ("𐍈𝕏 \U0010ffff", "𐍈𝕏\U0010ffff"),
]


def metrics():
    import sacrebleu

    assert sacrebleu.__version__ == "2.6.0", f"this is sacreBLEU {sacrebleu.__version__}: headers name 2.6.0"
    return sacrebleu.BLEU(), sacrebleu.CHRF()


def counts(metric, pairs):
    """The numbers that sacreBLEU adds up, sentence by sentence."""
    return metric._extract_corpus_statistics([written for written, _ in pairs], [[reference for _, reference in pairs]])


def score(metric, pairs):
    return metric.corpus_score([written for written, _ in pairs], [[reference for _, reference in pairs]]).score


def ours(program, pairs):
    texts = (text.encode("utf-8") for pair in pairs for text in pair)
    done = subprocess.run([program], input=b"".join(b"%d\n%s" % (len(text), text) for text in texts), stdout=subprocess.PIPE,
                          check=True)
    lines = done.stdout.decode().splitlines()
    rows = [list(map(int, line.split())) for line in lines[:-1]]
    return [row[:10] for row in rows], [row[10:] for row in rows], list(map(float, lines[-1].split()))


def corrupt(sentence, rng, rate):
    """Words that are dropped, doubled, swapped or broken, blanks and punctuation of all kinds, and characters by chance."""
    words = sentence.split(" ")
    result = []
    for word in words:
        if rng.random() >= rate:
            result.append(word)
            continue
        kind = rng.randrange(8)
        if kind == 1:
            result += [word, word]
        elif kind == 2:
            result.insert(rng.randrange(len(result) + 1), word)
        elif kind == 3:
            result.append(word[: rng.randrange(len(word) + 1)])
        elif kind == 4:
            result.append(word + rng.choice([".", ",", "-", "...", "&quot;", "-\n", "\u00a0", "\u2003", "1,5", "<skipped>", "'s", "\u200b"]))
        elif kind == 5:
            at = rng.randrange(len(word) + 1)
            result.append(word[:at] + chr(rng.choice([rng.randrange(1, 0x250), rng.randrange(0x2000, 0x2100), 0x1F44D, 0x4EAC])) + word[at:])
        elif kind == 6:
            result.append(word.swapcase())
        elif kind == 7:
            result.append(str(rng.randrange(1000)) + rng.choice(["", ".", ",", "-", "/"]) + str(rng.randrange(10)))
    return " ".join(result)


def compare(args):
    bleu, chrf = metrics()
    wrong = 0
    worst = [0.0, 0.0]
    rng = random.Random(1)
    for language in "de", "en":
        with gzip.open(DATA / "multi30k" / f"test_2016_flickr.{language}.gz", "rt", encoding="utf-8") as lines:
            references = [line.strip() for line in lines]
        for rate in 0, 0.02, 0.1, 0.3, 0.6, 0.9, 1:
            for copy in range(3):
                pairs = [(corrupt(reference, rng, rate), reference if copy < 2 else corrupt(reference, rng, 0.3)) for reference in references]
                if copy == 1:  # sentences of others
                    pairs = [(pairs[rng.randrange(len(pairs))][0] if rng.random() < 0.5 else a, b) for a, b in pairs]
                words, characters, scores = ours(args.score, pairs)
                theirs = [score(bleu, pairs), score(chrf, pairs)]
                wrong += sum(a != b for a, b in zip(words, counts(bleu, pairs)))
                wrong += sum(a != b for a, b in zip(characters, counts(chrf, pairs)))
                worst = [max(w, abs(a - b)) for w, a, b in zip(worst, scores, theirs)]
                print(f"{language} rate {rate}: BLEU {scores[0]:.4f} {theirs[0]:.4f}, chrF2 {scores[1]:.4f} {theirs[1]:.4f}", flush=True)
    print(f"{wrong} sentences count differently; scores differ by {worst[0]:.2g} and {worst[1]:.2g} at most")
    return wrong > 0 or max(worst) > 0.01


def write(args):
    bleu, chrf = metrics()
    rows = [dict(written=pair[0], reference=pair[1], bleu_counts=a, chrf_counts=b, bleu=score(bleu, [pair]), chrf=score(chrf, [pair]))
            for pair, a, b in zip(PAIRS, counts(bleu, PAIRS), counts(chrf, PAIRS))]
    table = dict(made_by="compare_sacrebleu.py write, sacreBLEU 2.6.0", bleu=score(bleu, PAIRS), chrf=score(chrf, PAIRS), pairs=rows)
    head = json.dumps({key: value for key, value in table.items() if key != "pairs"})[:-1]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (HERE / "expected_scores.json").write_text(f'{head}, "pairs": [\n{lines}\n]}}\n')
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("compare", "write"))
    parser.add_argument("--score", help="the program of score.cc")
    args = parser.parse_args()
    if args.action == "compare" and not args.score:
        parser.error("--score is missing")
    return {"compare": compare, "write": write}[args.action](args)


if __name__ == "__main__":
    sys.exit(main())
