"""The FCOS of make_golden.py: torchvision's own classes, narrow, with torchvision's losses and post-processing. Needs torchvision."""

import functools

import torch
from torch import nn
from torchvision.models import resnet
from torchvision.models.detection import FCOS
from torchvision.models.detection import backbone_utils
from torchvision.models.detection import fcos as torchvision_fcos
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FrozenBatchNorm2d, feature_pyramid_network

CLASSES, HEIGHT, WIDTH, PICTURES, CHANNELS, GROUPS = 3, 32, 128, 2, 8, 4
STEM, WIDTHS, BLOCKS = 4, (2, 2, 3, 4), (3, 4, 6, 3)


def narrow_backbone():
    """fcos_resnet50_fpn's, of few channels."""
    body = resnet.ResNet(resnet.Bottleneck, BLOCKS, norm_layer=FrozenBatchNorm2d)
    body.inplanes = STEM
    body.conv1, body.bn1 = nn.Conv2d(3, STEM, 7, 2, 3, bias=False), FrozenBatchNorm2d(STEM)
    for i, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS)):
        setattr(body, f"layer{i + 1}", body._make_layer(resnet.Bottleneck, width, blocks, stride=1 if i == 0 else 2))
    return backbone_utils.BackboneWithFPN(
        body,
        {"layer2": "0", "layer3": "1", "layer4": "2"},
        [4 * width for width in WIDTHS[1:]],
        CHANNELS,
        extra_blocks=feature_pyramid_network.LastLevelP6P7(CHANNELS, CHANNELS),
    )


class Fcos(FCOS):
    def __init__(self):
        norm = functools.partial(nn.GroupNorm, GROUPS)
        head = torchvision_fcos.FCOSHead(32, 1, CLASSES, num_convs=2)  # its branches' groups can't be chosen
        head.classification_head = torchvision_fcos.FCOSClassificationHead(
            CHANNELS, 1, CLASSES, num_convs=2, norm_layer=norm
        )
        head.regression_head = torchvision_fcos.FCOSRegressionHead(CHANNELS, 1, num_convs=2, norm_layer=norm)
        super().__init__(narrow_backbone(), CLASSES, head=head)
        for parameter in self.head.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.2)
        for name, values in self.backbone.body.named_buffers():  # away from ones and zeros, where mistakes would hide
            low, high = (0.5, 1.5) if name.endswith(("weight", "running_var")) else (-0.3, 0.3)
            nn.init.uniform_(values, low, high)

    def anchors_of(self, x, features):
        return self.anchor_generator(ImageList(x, [(HEIGHT, WIDTH)] * len(x)), features)

    def forward(self, x):
        features = list(self.backbone(x).values())
        return self, self.head(features), self.anchors_of(x, features), [f.shape[2] * f.shape[3] for f in features]

    def find(self, x):
        _, outputs, anchors, cells = self(x)
        outputs = {name: list(values.split(cells, dim=1)) for name, values in outputs.items()}
        return self.postprocess_detections(
            outputs, [list(a.split(cells)) for a in anchors], [(HEIGHT, WIDTH)] * len(x)
        )


def fcos_loss(answers, batch):
    model, outputs, anchors, cells = answers
    targets = [{"boxes": boxes[:, :4], "labels": boxes[:, 4].long()} for boxes in batch["boxes"]]
    return sum(model.compute_loss(targets, outputs, anchors, cells).values())


def targets_of(model, x, boxes):
    """What torchvision assigns to each cell, taken where it hands it to the head's losses."""
    _, outputs, anchors, cells = model(x)
    head, taken = model.head, {}

    class Taking(nn.Module):
        def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
            taken["matched"] = matched_idxs
            return {}

    model.head = Taking()
    model.compute_loss([{"boxes": b[:, :4], "labels": b[:, 4].long()} for b in boxes], outputs, anchors, cells)
    model.head = head
    fields = {"category": [], "sides": [], "centerness": [], "inside": []}
    for matched, places, of_picture in zip(taken["matched"], anchors, boxes):
        inside = matched >= 0
        mine = of_picture[matched.clip(min=0)]
        sides = head.box_coder.encode(places, mine[:, :4])
        across, down = sides[:, [0, 2]], sides[:, [1, 3]]
        near = torch.sqrt(across.amin(1) / across.amax(1) * (down.amin(1) / down.amax(1)))
        fields["category"].append(torch.where(inside, mine[:, 4], -1))
        fields["sides"].append(torch.where(inside[:, None], sides, 1))
        fields["centerness"].append(torch.where(inside, near, 0))
        fields["inside"].append(inside.float())
    return {name: torch.stack(values) for name, values in fields.items()}


def make_pictures():
    x = torch.randn(PICTURES, HEIGHT, WIDTH, 3)
    boxes = []
    for _ in range(PICTURES):
        rows = [torch.tensor([1.0, 1.0, 127.0, 30.0, 1.0])]  # on a coarser map
        for _ in range(5):
            width, height = (torch.rand(2) * torch.tensor([70.0, 24.0]) + 5).tolist()
            left, top = ((WIDTH - width) * torch.rand(1)).item(), ((HEIGHT - height) * torch.rand(1)).item()
            rows.append(torch.tensor([left, top, left + width, top + height, torch.randint(CLASSES, (1,)).item()]))
        boxes.append(torch.stack(rows))
    with torch.no_grad():
        targets = targets_of(Fcos(), x.permute(0, 3, 1, 2), boxes)
    return {"input": x, "boxes": torch.stack(boxes), **targets}


def found_tensors(model, batch):
    """Per picture: boxes [n, 4], scores [n] and labels [n] as torchvision finds them, the best first."""
    with torch.no_grad():
        found = model.eval().find(batch["input"].permute(0, 3, 1, 2).contiguous())
    model.train()
    print(f"found: {[len(f['scores']) for f in found]} boxes, scores from {min(f['scores'].min() for f in found):.3f}")
    return {f"found{i}.{name}": values.float() for i, f in enumerate(found) for name, values in f.items()}
