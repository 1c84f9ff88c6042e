#!/usr/bin/env bash
# unseen_data.sh: data that no recipe has seen, as its owner would try it: it works, or says what is wrong with it, once and
# with the right exit code. Small models, a few steps each.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/refused.sh"
lockstep=$(readlink -f "$lockstep")
cd "$work" || exit 1  # paths below are relative, as people type them

# call ARG...: a command without ranks, as `run` leaves things.
call() {
  "$lockstep" "$@" </dev/null >"$work/stdout" 2>"$work/stderr"
  code=$?
  ended_at=$(now)
  said_at=$ended_at
}

# works: the last command did, and said neither error nor a number that is none.
works() {
  [ "$code" -eq 0 ] || fail "$name: it ended with $code"
  ! has "error:" || fail "$name: it ended with 0, but told of an error"
  ! grep -qE '=-?(nan|inf)' "$work/stdout" || fail "$name: not finite"
  echo "$name: works"
}

# trains N ARG...: a job of N ranks comes to its end.
trains() {
  train "$@"
  works
  weights >/dev/null
}

steps='train { steps: 4 global_batch: 4 lanes: 2 seed: 1 precision: F32 } optimizer { adamw {} learning_rate: 1e-3 }'

# --- a text in another script

for _ in $(seq 60); do printf 'Μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος\nοὐλομένην, ἣ μυρί᾽ Ἀχαιοῖς ἄλγε᾽ ἔθηκε\n'; done >greek.txt
cat >text.textproto <<END2
model { gpt { layers: 1 heads: 2 width: 16 } }
data { block: 16 train { text { file: "greek.txt" end: 0.9 } } test { text { file: "greek.txt" begin: 0.9 } } }
$steps
END2

name="Greek, letter by letter"
trains 2 text.textproto --out "$work/greek"
call generate greek --prompt "θεὰ" --tokens 20
works
[[ $(cat stdout) == θεὰ* ]] || fail "$name: the text does not begin with its prompt"

name="a prompt in another alphabet"
call generate greek --prompt "goddess"
refused 2 "--prompt: the vocabulary lacks U+0067 'g'" "begin with text like that of the training"

name="Greek, with a vocabulary of German and English"
trains 2 text.textproto --out "$work/pieces" --set "data.tokenizer.sentencepiece=$root/examples/data/multi30k.model"
has "tokens stand for what the vocabulary lacks" || fail "$name: no warning"

name="another encoding"
iconv -f UTF-8 -t UTF-16LE greek.txt >utf16.txt
train 2 text.textproto --out "$work/out" --set data.train.text.file=utf16.txt
refused 3 "utf16.txt:1: there is byte" "the text must be UTF-8"

name="a run whose text has got another letter since"
cp greek.txt kept.txt
echo "w" >>greek.txt
call generate greek --prompt "θεὰ" --tokens 5
works
call eval greek
refused 3 "greek.txt from 0.9 on: the vocabulary lacks U+0077 'w'"
train 2 text.textproto --out "$work/greek" --set train.steps=8
refused 3 "greek.txt: the training data are not those that this run began with" "begin another run"
mv kept.txt greek.txt

# --- an empty file

name="an empty text"
: >empty
train 2 text.textproto --out "$work/out" --set data.train.text.file=empty
refused 3 "/empty: the file is empty" "name a file that has text"

name="an empty text for tokenize"
call tokenize empty -o empty.bin --bytes
refused 3 "empty: the file is empty"

# --- audio at 44.1 kHz in stereo

python3 - <<'END2'
import math, struct, wave
def write(name, rate, channels, seconds):
    with wave.open(name, "wb") as f:
        f.setnchannels(channels), f.setsampwidth(2), f.setframerate(rate)
        for i in range(int(rate * seconds)):
            f.writeframesraw(struct.pack("<h", int(9000 * math.sin(0.3 * i))) * channels)
write("stereo.wav", 44100, 2, 0.5)
write("mono.wav", 8000, 1, 0.5)
END2
for _ in 1 2 3 4; do printf 'mono.wav\tone\nstereo.wav\ttwo\n'; done >all.tsv
cat >speech.textproto <<END2
model { recurrent { layers: 1 hidden: 8 bidirectional: true } }
data {
  train { speech { manifest: "all.tsv" } } test { speech { manifest: "all.tsv" } }
  alphabet: " efilnostwz" speech_features { sample_rate: 8000 mels: 20 stack: 2 }
}
$steps
END2

name="44.1 kHz and stereo among 8 kHz and mono"
trains 2 speech.textproto --out "$work/speech"
call predict speech stereo.wav mono.wav
works
[ "$(cut -f 1 stdout | tr '\n' ' ')" = "stereo.wav mono.wav " ] || fail "$name: not a line for each recording"

name="transcripts as a table"
call predict speech stereo.wav mono.wav --out texts.csv
works
[ ! -s stdout ] || fail "$name: something goes to standard output too"
python3 - <<'END2' || fail "$name: $(cat texts.csv)"
import csv
rows = list(csv.DictReader(open("texts.csv")))
assert [row["input"] for row in rows] == ["stereo.wav", "mono.wav"] and list(rows[0]) == ["input", "text", "score"], rows
END2
call predict speech stereo.wav mono.wav --out no-folder/texts.csv
refused 2 "no-folder is no folder"

name="a recording that is none"
call predict speech empty
refused 3 "/empty: the file is empty" "copy or make the file again"

name="an empty recording in a manifest"
{ cat all.tsv; printf 'empty\tone\n'; } >more.tsv
train 2 speech.textproto --out "$work/out" --set data.train.speech.manifest=more.tsv
refused 3 "more.tsv:9: $work/empty: the file is empty" "take this line out of the manifest"

name="more silence than words, and a transcript that is too long"
{ printf 'mono.wav\t%s\nmono.wav\tone\n' "$(printf 'no %.0s' $(seq 40))"; printf 'mono.wav\t\n%.0s' $(seq 14); } >more.tsv
trains 2 speech.textproto --out "$work/silence" --set data.train.speech.manifest=more.tsv  # two batches of silence at least
has "warning: step" || fail "$name: no warning"
call data check speech.textproto --set data.train.speech.manifest=more.tsv
works
once "more.tsv:1: the transcript needs 120 time steps" || fail "$name: data check does not name the line"

# --- a transcript with letters outside the alphabet

name="letters outside the alphabet"
{ cat all.tsv; printf 'mono.wav\teins zw\xc3\xb6lf\n'; } >more.tsv
train 2 speech.textproto --out "$work/out" --set data.train.speech.manifest=more.tsv
refused 3 "more.tsv:9: the transcript has U+00F6 'ö', which is no letter of the alphabet" "add it to data.alphabet"

# --- parallel text

for i in $(seq 40); do echo "Ein Hund läuft $i Mal über die Straße."; done >de
for i in $(seq 40); do echo "A dog runs across the street $i times."; done >en
cat >pairs.textproto <<END2
model { seq2seq { layers: 1 width: 16 heads: 2 inner: 16 } }
data {
  train { parallel { source: "de" target: "en" } } test { parallel { source: "de" target: "en" } limit: 4 }
  tokenizer { sentencepiece: "$root/examples/data/multi30k.model" }
}
train { steps: 4 batch_tokens: 300 lanes: 2 seed: 1 precision: F32 }
optimizer { adamw {} learning_rate: 1e-3 }
END2

name="unequal numbers of lines"
head -n 35 en >fewer
train 2 pairs.textproto --out "$work/out" --set data.train.parallel.target=fewer
refused 3 "de:36: has 40 lines, but $work/fewer has 35" "look where they part"

name="empty lines on one side and on both"
sed '3s/.*//;7s/.*//' de >blanks.de
sed '7s/.*//;9s/.*//' en >blanks.en
trains 2 pairs.textproto --out "$work/blanks" --set data.train.parallel.source=blanks.de --set data.train.parallel.target=blanks.en

# --- a sentence of 4,000 words

sentence=$(printf 'Hund %.0s' $(seq 4000))
name="a sentence of 4,000 words in training"
{ cat de; echo "$sentence"; } >long.de
{ cat en; echo "A dog."; } >long.en
long=(--set data.train.parallel.source=long.de --set data.train.parallel.target=long.en)
train 2 pairs.textproto --out "$work/out" "${long[@]}"
refused 3 "train.batch_tokens: sample 40 (from 0), $work/long.de:41, may be 4001 long" "data.longest"
trains 2 pairs.textproto --out "$work/long" "${long[@]}" --set data.longest=100
once "1 of 41 pairs of sentences have more than 100 tokens" || fail "$name: no note of what is left out"

name="a sentence of 4,000 words to translate"
echo "$sentence" >one
call predict long --beam 1 one
works
[ "$(wc -l <stdout)" -eq 1 ] || fail "$name: not one line"

name="a sentence from a pipe"
echo "Ein Hund." | "$lockstep" predict long - >stdout 2>stderr
code=$?
works

name="translations as they come"
answers_at_once long "Ein Hund."
echo "$name: works"

name="translations as a table and as JSON"
printf 'Ein Hund läuft, "schnell".\n\nEin Hund.\n' >three.de
call predict long three.de --text "Ein Hund." --out three.csv
works
call predict long three.de --text "Ein Hund." --format jsonl
works
python3 - <<'END2' || fail "$name: $(cat three.csv stdout)"
import csv, json
rows = list(csv.DictReader(open("three.csv")))
assert [(row["file"], row["line"]) for row in rows] == [("--text", "1"), ("three.de", "1"), ("three.de", "2"), ("three.de", "3")]
assert [row["input"] for row in rows] == ["Ein Hund.", 'Ein Hund läuft, "schnell".', "", "Ein Hund."], rows
assert rows[0]["text"] == rows[3]["text"] and rows[0]["score"] == rows[3]["score"], rows
objects = [json.loads(line) for line in open("stdout")]
assert [{name: str(value) for name, value in one.items()} for one in objects] == rows, objects
END2

name="a sentence that is no UTF-8"
call predict long --text $'Stra\xdfe'
refused 2 "--text: there is byte 0xDF, which is no UTF-8"

[ ! -e out ] || fail "a job that was refused made the run's folder"
