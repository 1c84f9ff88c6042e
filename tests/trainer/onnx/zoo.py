"""Models that people train, with random weights and small inputs: what import_models.py exports and imports.

Each entry of MODELS is a function that returns (module, inputs, names of dynamic dimensions per input). A batch is always open; texts
have an open time, too, where they say "time".
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

MODELS = {}


def model(function):
    MODELS[function.__name__] = function
    return function


def image(size=64, channels=3, batch=2):
    return torch.randn(batch, channels, size, size)


def tokens(words=100, time=12, batch=2):
    return torch.randint(1, words, (batch, time))


def vision(name, size=64, **arguments):
    def build():
        import torchvision

        arguments.setdefault("num_classes", 10)
        return getattr(torchvision.models, name)(weights=None, **arguments), (image(size),)

    build.__name__ = name
    return model(build)


for name in ["resnet18", "resnet50", "vgg11_bn", "densenet121", "squeezenet1_1", "regnet_y_400mf", "mobilenet_v2",
             "mobilenet_v3_small", "mnasnet0_5", "efficientnet_b0", "convnext_tiny", "shufflenet_v2_x0_5", "swin_t"]:
    vision(name)


@model
def vit_b_16():
    import torchvision

    return torchvision.models.VisionTransformer(64, 16, 3, 4, 64, 128, num_classes=10), (image(),)


@model
def deeplabv3_resnet50():
    import torchvision

    class Out(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torchvision.models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=5)

        def forward(self, x):
            return self.net(x)["out"]

    return Out(), (image(),)


@model
def lraspp_mobilenet_v3():
    import torchvision

    class Out(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)

        def forward(self, x):
            return self.net(x)["out"]

    return Out(), (image(),)


@model
def fcos_heads():
    import torchvision

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            net = torchvision.models.detection.fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5)
            self.backbone, self.head = net.backbone, net.head

        def forward(self, x):
            return tuple(self.head(list(self.backbone(x).values())).values())

    return Heads(), (image(),)


@model
def ssdlite320_heads():
    import torchvision

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            net = torchvision.models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)
            self.backbone, self.head = net.backbone, net.head

        def forward(self, x):
            return tuple(self.head(list(self.backbone(x).values())).values())

    return Heads(), (image(128),)


def timm_model(name, size=64, **arguments):
    def build():
        import timm

        return timm.create_model(name, pretrained=False, num_classes=10, **arguments), (image(size),)

    build.__name__ = "timm_" + name
    return model(build)


timm_model("vit_tiny_patch16_224", img_size=64, depth=3)
timm_model("levit_128s", 224)
timm_model("mixer_s32_224", img_size=64)
timm_model("mobilevit_xxs")
timm_model("efficientformer_l1", 224)
timm_model("ghostnet_050")
timm_model("resnet10t")
timm_model("swin_tiny_patch4_window7_224", 224)


@model
def timm_convmixer():
    import timm

    return timm.models.convmixer.ConvMixer(32, 3, kernel_size=9, patch_size=7, num_classes=10), (image(),)


TINY = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
TINY_LM = dict(TINY, vocab_size=100, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)


class Logits(nn.Module):
    """Of a model of transformers, its first answer alone."""

    def __init__(self, net, field="logits", names=("input_ids", "attention_mask"), **arguments):
        super().__init__()
        self.net, self.field, self.names, self.arguments = net, field, names, arguments

    def forward(self, *inputs):
        return getattr(self.net(**dict(zip(self.names, inputs)), **self.arguments), self.field)


def hugging_face(title, kind, config, mask=True, field="logits", **arguments):
    def build():
        import transformers

        net = getattr(transformers, kind)(getattr(transformers, config[0])(**config[1]))
        ids = tokens()
        inputs = (ids, torch.ones_like(ids)) if mask else (ids,)
        return Logits(net, field, **arguments), inputs, ["time"] * len(inputs)

    build.__name__ = title
    return model(build)


BERT = ("BertConfig", dict(TINY, vocab_size=100, max_position_embeddings=64))
hugging_face("bert_classifier", "BertForSequenceClassification", BERT)
hugging_face("bert_mlm", "BertForMaskedLM", BERT)
hugging_face("roberta", "RobertaForSequenceClassification", ("RobertaConfig", dict(TINY, vocab_size=100, max_position_embeddings=66)))
hugging_face("distilbert", "DistilBertForSequenceClassification",
             ("DistilBertConfig", dict(vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64)))
hugging_face("gpt2", "GPT2LMHeadModel", ("GPT2Config", dict(vocab_size=100, n_embd=32, n_layer=2, n_head=4, n_positions=64)),
             mask=False, use_cache=False)
hugging_face("gpt_neox", "GPTNeoXForCausalLM", ("GPTNeoXConfig", TINY_LM), mask=False, use_cache=False)
hugging_face("llama", "LlamaForCausalLM", ("LlamaConfig", dict(TINY_LM, num_key_value_heads=2)), mask=False, use_cache=False)
hugging_face("llama_mask", "LlamaForCausalLM", ("LlamaConfig", dict(TINY_LM, num_key_value_heads=2)), use_cache=False)
hugging_face("qwen2", "Qwen2ForCausalLM", ("Qwen2Config", dict(TINY_LM, num_key_value_heads=2)), mask=False, use_cache=False)
hugging_face("qwen3", "Qwen3ForCausalLM", ("Qwen3Config", dict(TINY_LM, num_key_value_heads=2, head_dim=8)), mask=False,
             use_cache=False)
hugging_face("mistral", "MistralForCausalLM", ("MistralConfig", dict(TINY_LM, num_key_value_heads=2)), mask=False, use_cache=False)
hugging_face("gemma", "GemmaForCausalLM", ("GemmaConfig", dict(TINY_LM, num_key_value_heads=2, head_dim=8)), mask=False,
             use_cache=False)
hugging_face("opt", "OPTForCausalLM",
             ("OPTConfig", dict(vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
                                max_position_embeddings=64, word_embed_proj_dim=32)), use_cache=False)
hugging_face("t5", "T5ForConditionalGeneration",
             ("T5Config", dict(vocab_size=100, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)),
             names=("input_ids", "decoder_input_ids"), use_cache=False)
hugging_face("bart", "BartForConditionalGeneration",
             ("BartConfig", dict(vocab_size=100, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                                 decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64)),
             names=("input_ids", "decoder_input_ids"), use_cache=False)


def whisper_config():
    import transformers

    return transformers.WhisperConfig(vocab_size=100, num_mel_bins=16, d_model=32, encoder_layers=2, decoder_layers=2,
                                      encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
                                      max_source_positions=20, max_target_positions=20, pad_token_id=0, bos_token_id=1,
                                      eos_token_id=2, decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None)


@model
def whisper():
    import transformers

    net = transformers.WhisperForConditionalGeneration(whisper_config())
    return Logits(net, names=("input_features", "decoder_input_ids"), use_cache=False), (torch.randn(2, 16, 40), tokens(time=6))


@model
def whisper_encoder():
    import transformers

    net = transformers.WhisperModel(whisper_config()).encoder
    return Logits(net, "last_hidden_state", names=("input_features",)), (torch.randn(2, 16, 40),)


@model
def vit_transformers():
    import transformers

    net = transformers.ViTForImageClassification(transformers.ViTConfig(**TINY, image_size=32, patch_size=8, num_labels=5))
    return Logits(net, names=("pixel_values",)), (image(32),)


@model
def mlp():
    return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.1), nn.Linear(30, 3)), (torch.randn(2, 20),)


@model
def lenet():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)), (
                             image(28, 1),)


class Recurrent(nn.Module):
    def __init__(self, kind, **arguments):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.rnn = kind(16, 24, batch_first=True, **arguments)
        self.head = nn.Linear(24 * (2 if arguments.get("bidirectional") else 1), 4)

    def forward(self, ids):
        y, _ = self.rnn(self.embedding(ids))
        return self.head(y[:, -1])


@model
def lstm_classifier():
    return Recurrent(nn.LSTM, num_layers=2, dropout=0.1), (tokens(50),), ["time"]


@model
def lstm_bidirectional():
    return Recurrent(nn.LSTM, num_layers=2, bidirectional=True), (tokens(50),), ["time"]


@model
def lstm_one_layer():
    return Recurrent(nn.LSTM), (tokens(50),)


@model
def gru_classifier():
    return Recurrent(nn.GRU), (tokens(50),), ["time"]


@model
def crnn():
    class Crnn(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d((4, 2)))
            self.rnn = nn.LSTM(32, 16, bidirectional=True)
            self.head = nn.Linear(32, 11)

        def forward(self, x):
            x = self.conv(x).flatten(1, 2).permute(2, 0, 1)
            return F.log_softmax(self.head(self.rnn(x)[0]), -1).transpose(0, 1)

    return Crnn(), (torch.randn(2, 1, 16, 20),)


@model
def transformer_encoder():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
            self.embedding, self.encoder, self.head = nn.Embedding(50, 32), nn.TransformerEncoder(layer, 2), nn.Linear(32, 5)

        def forward(self, ids):
            return self.head(self.encoder(self.embedding(ids)).mean(1))

    return Encoder(), (tokens(50),), ["time"]


@model
def transformer_tied():
    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(50, 32)
            self.net = nn.Transformer(32, 4, 2, 2, 64, batch_first=True)
            self.head = nn.Linear(32, 50, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, source, target):
            mask = nn.Transformer.generate_square_subsequent_mask(8)
            return self.head(self.net(self.embedding(source), self.embedding(target), tgt_mask=mask))

    return Translator(), (tokens(50, 10), tokens(50, 8))


@model
def multihead_attention():
    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    return Attend(), (torch.randn(2, 10, 32),)


class UNet(nn.Module):
    def __init__(self, up):
        super().__init__()
        block = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU())
        self.a, self.b, self.c = block(3, 8), block(8, 16), block(16, 32)
        self.up2, self.up1 = up(32, 16), up(16, 8)
        self.d, self.e, self.head = block(32, 16), block(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        d = self.d(torch.cat([self.up2(c), b], 1))
        return self.head(self.e(torch.cat([self.up1(d), a], 1)))


@model
def unet_transposed():
    return UNet(lambda i, o: nn.ConvTranspose2d(i, o, 2, stride=2)), (image(32),)


@model
def unet_nearest():
    return UNet(lambda i, o: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(i, o, 1))), (image(32),)


@model
def unet_bilinear():
    up = lambda i, o: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(i, o, 1))
    return UNet(up), (image(32),)


class Attention(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.qkv, self.out, self.mask = nn.Linear(32, 96), nn.Linear(32, 32), mask

    def forward(self, x, mask=None):
        n, t, _ = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, 4, 8).permute(2, 0, 3, 1, 4)
        mask = mask[:, None, None, :] if self.mask else None
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=not self.mask)
        return self.out(y.transpose(1, 2).reshape(n, t, 32))


@model
def attention_causal():
    return Attention(False), (torch.randn(2, 10, 32),)


@model
def attention_mask():
    return Attention(True), (torch.randn(2, 10, 32), torch.tensor([[True] * 10, [True] * 7 + [False] * 3]))


@model
def attention_einsum():
    class Einsum(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)

        def forward(self, x):
            q, k, v = (f(x).unflatten(-1, (4, 8)) for f in (self.q, self.k, self.v))
            weights = torch.einsum("bqhd,bkhd->bhqk", q, k).mul(8**-0.5).softmax(-1)
            return torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2)

    return Einsum(), (torch.randn(2, 10, 32),)


@model
def two_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.table, self.head = nn.Conv2d(3, 8, 3), nn.Linear(5, 8), nn.Linear(16, 4)

        def forward(self, picture, row):
            return self.head(torch.cat([self.conv(picture).relu().mean((2, 3)), self.table(row).relu()], 1))

    return Two(), (image(16), torch.randn(2, 5))


@model
def masked_pooling():
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(50, 16), nn.Linear(16, 3)

        def forward(self, ids):
            mask = (ids != 0).unsqueeze(-1).float()
            return self.head((self.embedding(ids) * mask).sum(1) / mask.sum(1))

    return Pool(), (tokens(50),)


@model
def group_norm_silu():
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.GroupNorm(4, 16), nn.SiLU(), nn.Dropout2d(0.2), nn.Conv2d(16, 8, 3), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(8, 4)), (image(16),)


@model
def instance_norm_prelu():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.PReLU(8), nn.AvgPool2d(2), nn.Flatten(),
                         nn.Linear(8 * 49, 4)), (image(16),)


@model
def activations():
    class Activations(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(8))

        def forward(self, x):
            functions = [F.hardswish, F.hardsigmoid, F.elu, F.celu, F.selu, F.softplus, F.mish, F.relu6]
            for layer, function in zip(self.layers, functions):
                x = function(layer(x))
            return x

    return Activations(), (torch.randn(2, 16),)


@model
def rms_norm_swiglu():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.gate, self.up, self.down = nn.RMSNorm(16), nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 16)

        def forward(self, x):
            y = self.norm(x)
            return x + self.down(F.silu(self.gate(y)) * self.up(y))

    return Block(), (torch.randn(2, 5, 16),)


@model
def weight_norm_glu():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 16, 3, padding=1))
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(F.glu(self.conv(x), 1).amax(-1))

    return Net(), (torch.randn(2, 4, 20),)


@model
def lrn_pads():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.LocalResponseNorm(5),
                         nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"), nn.Flatten(), nn.Linear(8 * 64, 3)), (image(8),)


@model
def dcgan_generator():
    return nn.Sequential(nn.ConvTranspose2d(16, 32, 4, 1, 0, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
                         nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                         nn.ConvTranspose2d(16, 3, 4, 2, 1, bias=False), nn.Tanh()), (torch.randn(2, 16, 1, 1),)


@model
def vae():
    class Vae(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.mean, self.spread, self.decoder = (nn.Linear(20, 16), nn.Linear(16, 4), nn.Linear(16, 4),
                                                                   nn.Linear(4, 20))

        def forward(self, x):
            h = self.encoder(x).relu()
            mean, spread = self.mean(h), self.spread(h)
            return self.decoder(mean + torch.randn_like(spread) * (0.5 * spread).exp()).sigmoid(), mean, spread

    return Vae(), (torch.randn(2, 20),)


@model
def conv3d():
    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(4 * 27, 3)), (
        torch.randn(2, 1, 8, 8, 8),)


@model
def pixel_shuffle():
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 12, 3, padding=1), nn.PixelShuffle(2)), (image(16),)


@model
def mlp_batch_norm():
    return nn.Sequential(nn.Linear(20, 16), nn.BatchNorm1d(16), nn.LeakyReLU(), nn.Linear(16, 4), nn.LogSoftmax(1)), (
        torch.randn(2, 20),)


@model
def cosine_similarity():
    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.scale = nn.Linear(10, 8), nn.Linear(12, 8), nn.Parameter(torch.tensor(2.0))

        def forward(self, x, y):
            x, y = F.normalize(self.a(x), dim=-1), F.normalize(self.b(y), dim=-1)
            return self.scale.exp() * (x * y).sum(-1, keepdim=True)

    return Clip(), (torch.randn(2, 10), torch.randn(2, 12))


@model
def mixture_of_experts():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.experts = nn.Linear(8, 4), nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

        def forward(self, x):
            values, places = self.gate(x).topk(2, -1)
            weights = torch.zeros(x.shape[0], 4).scatter(-1, places, values.softmax(-1))
            return sum(weights[:, i:i + 1] * expert(x) for i, expert in enumerate(self.experts))

    return Experts(), (torch.randn(2, 8),)


@model
def dlrm():
    class Dlrm(nn.Module):
        def __init__(self):
            super().__init__()
            self.bottom, self.bag, self.top = nn.Linear(6, 8), nn.EmbeddingBag(40, 8, mode="sum"), nn.Linear(16, 1)

        def forward(self, x, ids):
            return self.top(torch.cat([self.bottom(x).relu(), self.bag(ids)], 1))

    return Dlrm(), (torch.randn(2, 6), tokens(40, 5))
