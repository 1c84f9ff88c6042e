"""Models over sequences that differ in length, for make_golden.py: layers of LSTMs or GRUs with CTC, and the translators.

Places from a sample's length on hold noise, which must change nothing.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def run_packed(layers, x, length):
    """Zeros from the lengths on."""
    packed = pack_padded_sequence(x, length.cpu().long(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(layers(packed)[0], batch_first=True, total_length=x.shape[1])[0]


KINDS = dict(lstm=nn.LSTM, gru=nn.GRU)


class Recurrent(nn.Module):
    def __init__(self, cell, channels=5, hidden=9, layers=2, classes=7):
        super().__init__()
        self.cell = cell
        setattr(self, cell, KINDS[cell](channels, hidden, layers, batch_first=True, bidirectional=True))
        self.out = nn.Linear(2 * hidden, classes)

    def forward(self, x, length):
        return self.out(run_packed(getattr(self, self.cell), x, length))


def attend(q, kv, heads, **how):
    k, v = kv.chunk(2, -1)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, **how).transpose(1, 2).flatten(2)


def keys_within(length, places):
    """A mask of [batch, heads, queries, keys]."""
    return (torch.arange(places) < length[:, None])[:, None, None]


class SelfAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x, heads, **how):
        q, kv = self.in_proj(x).split([x.shape[-1], 2 * x.shape[-1]], -1)
        return self.out_proj(attend(q, kv, heads, **how))


class CrossAttention(nn.Module):
    def __init__(self, width, output=True):
        super().__init__()
        self.q_proj = nn.Linear(width, width)
        self.kv_proj = nn.Linear(width, 2 * width)
        self.out_proj = nn.Linear(width, width) if output else nn.Identity()

    def forward(self, x, memory, heads, mask):
        return self.out_proj(attend(self.q_proj(x), self.kv_proj(memory), heads, attn_mask=mask))


class EncoderLayer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = SelfAttention(width)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x, mask):
        x = x + self.self_attn(self.norm1(x), self.heads, attn_mask=mask)
        return x + self.linear2(F.relu(self.linear1(self.norm2(x))))


class DecoderLayer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn, self.cross_attn = SelfAttention(width), CrossAttention(width)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x, memory, mask):
        x = x + self.self_attn(self.norm1(x), self.heads, is_causal=True)
        x = x + self.cross_attn(self.norm2(x), memory, self.heads, mask)
        return x + self.linear2(F.relu(self.linear1(self.norm3(x))))


class Stack(nn.Module):
    def __init__(self, layers, norm):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = norm

    def forward(self, x, *arguments):
        for layer in self.layers:
            x = layer(x, *arguments)
        return self.norm(x)


def make_embedding(vocabulary, width):
    embedding = nn.Embedding(vocabulary, width)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding


def sinusoids(places, width):
    """[place, width]: a sine and a cosine by turns (Vaswani et al. 2017)."""
    rates = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(places, dtype=torch.float64)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


class TransformerTranslator(nn.Module):
    """Pre-norm; source, target and output share one embedding."""

    def __init__(self, vocabulary=19, width=8, heads=2, inner=12, layers=2):
        super().__init__()
        self.embedding = make_embedding(vocabulary, width)
        self.encoder = Stack((EncoderLayer(width, heads, inner) for _ in range(layers)), nn.LayerNorm(width))
        self.decoder = Stack((DecoderLayer(width, heads, inner) for _ in range(layers)), nn.LayerNorm(width))

    def embed(self, tokens):
        x = self.embedding(tokens.long())
        return x * x.shape[-1] ** 0.5 + sinusoids(*x.shape[1:]).to(x.dtype)

    def forward(self, source, source_length, tokens):
        mask = keys_within(source_length, source.shape[1])
        memory = self.encoder(self.embed(source), mask)
        return self.decoder(self.embed(tokens), memory, mask) @ self.embedding.weight.T


class RecurrentDecoderLayers(nn.Module):
    """The first layer's attention, one head, feeds the further ones; the parameters' names are those of one nn.LSTM or nn.GRU."""

    def __init__(self, cell, width, layers):
        super().__init__()
        self.cell = cell
        self.number = layers
        for layer in range(layers):
            of_layer = KINDS[cell](width if layer == 0 else 2 * width, width)
            for name, parameter in of_layer.named_parameters():
                self.register_parameter(name.replace("_l0", f"_l{layer}"), parameter)
        self.layers = nn.ModuleList([nn.ModuleDict(dict(cross_attn=CrossAttention(width, output=False)))])
        self.out = nn.Linear(2 * width, width)

    def run(self, layer, x):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self, f"{name}_l{layer}") for name in names]
        start = x.new_zeros(1, x.shape[0], weights[1].shape[1])
        how = (weights, True, 1, 0.0, self.training, False, True)
        return (torch.lstm(x, (start, start), *how) if self.cell == "lstm" else torch.gru(x, start, *how))[0]

    def forward(self, x, memory, mask):
        x = self.run(0, x)
        context = self.layers[0].cross_attn(x, memory, 1, mask)
        for layer in range(1, self.number):
            x = self.run(layer, torch.cat([x, context], -1))
        return torch.tanh(self.out(torch.cat([x, context], -1)))


class RecurrentTranslator(nn.Module):
    def __init__(self, cell, vocabulary=19, width=8, layers=2):
        super().__init__()
        self.embedding = make_embedding(vocabulary, width)
        self.encoder = KINDS[cell](width, width // 2, layers, batch_first=True, bidirectional=True)
        self.decoder = RecurrentDecoderLayers(cell, width, layers)

    def embed(self, tokens):
        return self.embedding(tokens.long()) * self.embedding.embedding_dim**0.5

    def forward(self, source, source_length, tokens):
        memory = run_packed(self.encoder, self.embed(source), source_length)
        mask = keys_within(source_length, source.shape[1])
        return self.decoder(self.embed(tokens), memory, mask) @ self.embedding.weight.T


def ctc(y, batch):
    """The mean over the letters of all samples, also of those that can't be aligned."""
    label = batch["label"].long()
    places, letters = batch["length"].long(), batch["label_length"].long()
    scores = y.log_softmax(-1).transpose(0, 1)
    loss = F.ctc_loss(scores, label.clamp(min=0), places, letters, reduction="sum", zero_infinity=True)
    return loss / (label >= 0).sum()


def translation_loss(y, batch):
    return F.cross_entropy(y.flatten(0, 1), batch["label"].long().flatten(), label_smoothing=0.1, ignore_index=-1)


def padded(rows, places, fill):
    """Rows of different lengths as [rows, places]."""
    result = torch.full((len(rows), places), float(fill))
    for to, row in zip(result, rows):
        to[: len(row)] = row
    return result


def make_speech():
    """Samples: long ones, an empty transcript, one with a single alignment, one with none, and a row that is no sample."""
    places, channels, classes = 11, 5, 7
    lengths, letters = [11, 8, 5, 5, 4, 0], [4, 3, 0, 3, 3, -1]
    labels = [torch.randint(1, classes, (max(count, 0),)) for count in letters]
    for sample in (3, 4):  # a letter three times needs five places
        labels[sample][:] = labels[sample][0].clone()
    return {
        "input": torch.randn(len(lengths), places, channels),
        "length": torch.tensor(lengths).float(),
        "label": padded(labels, places, -1),
        "label_length": torch.tensor(letters).float(),
    }


def make_pairs():
    """Sentences, the longest of either side among them, and a row that is no sample."""
    places, vocabulary = 9, 19
    lengths, words = [9, 4, 6, 1, 0], [5, 9, 1, 7, 0]
    targets = [torch.randint(0, vocabulary, (count + 1,)) for count in words]
    tokens = torch.randint(0, vocabulary, (len(words), places)).float()
    for row, target, count in zip(tokens, targets, words):
        row[:count] = target[:count]
    return {
        "input": torch.randint(0, vocabulary, (len(lengths), places)).float(),
        "source_length": torch.tensor(lengths).float(),
        "tokens": tokens,
        "label": padded([target[1:] for target in targets], places, -1),
    }


def samples_of(batch):
    """What PyTorch sees of a batch: the rows that are samples."""
    length = batch.get("length", batch.get("source_length"))
    return batch if length is None else {name: value[length > 0] for name, value in batch.items()}
