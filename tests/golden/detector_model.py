"""The detector of make_golden.py: a map of centres and four distances, with the losses of CenterNet (Zhou et al. 2019) and
generalised IoU (Rezatofighi et al. 2019)."""

import torch
from torch import nn
from torch.nn import functional as F

CLASSES, STRIDE, HEIGHT, WIDTH, PICTURES = 3, 4, 44, 36, 3


def conv_norm(channels_in, channels, kernel, stride=1):
    return nn.ModuleDict(
        dict(
            conv=nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False),
            norm=nn.BatchNorm2d(channels),
        )
    )


def apply_conv_norm(layer, x):
    return layer["norm"](layer["conv"](x))


class Backbone(nn.Module):
    """Strides 4 and 8."""

    def __init__(self, block, stem, widths):
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.layer1 = nn.Sequential(block(stem, widths[0], 2))
        self.layer2 = nn.Sequential(block(widths[0], widths[1], 2), block(widths[1], widths[1], 1))

    def forward(self, x):
        fine = self.layer1(F.relu(self.bn1(self.conv1(x))))
        return fine, self.layer2(fine)


class Detector(nn.Module):
    def __init__(self, block, stem=6, widths=(8, 12), neck=10):
        super().__init__()
        self.backbone = Backbone(block, stem, widths)
        self.neck = nn.ModuleDict({"8": conv_norm(widths[1], neck, 1), "4": conv_norm(widths[0], neck, 1)})
        self.head = nn.ModuleList([conv_norm(neck, neck, 3)])
        self.centers = nn.Conv2d(neck, CLASSES, 1)
        self.distances = nn.Conv2d(neck, 4, 1)

    def forward(self, x):
        fine, coarse = self.backbone(x)
        coarse = apply_conv_norm(self.neck["8"], coarse)
        joined = apply_conv_norm(self.neck["4"], fine) + F.interpolate(coarse, size=fine.shape[2:], mode="nearest")
        x = F.relu(joined)
        for layer in self.head:
            x = F.relu(apply_conv_norm(layer, x))
        return self.centers(x), self.distances(x)


def targets_of(boxes, rows, columns):
    """Of one picture's boxes (left, top, right, bottom in cells, class): heat [rows, columns, classes], sides [rows, columns,
    4] and inside [rows, columns]."""
    heat, sides, inside = torch.zeros(rows, columns, CLASSES), torch.ones(rows, columns, 4), torch.zeros(rows, columns)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    for left, top, right, bottom, kind in sorted(boxes, key=lambda b: -(b[2] - b[0]) * (b[3] - b[1])):
        column, row = min(int((left + right) / 2), columns - 1), min(int((top + bottom) / 2), rows - 1)
        bump = torch.exp(-0.5 * (((x - column) * 6 / (right - left)) ** 2 + ((y - row) * 6 / (bottom - top)) ** 2))
        heat[..., kind] = torch.maximum(heat[..., kind], bump)
        distances = torch.stack([x + 0.5 - left, y + 0.5 - top, right - x - 0.5, bottom - y - 0.5], -1)
        near = ((x - column).abs() <= 1) & ((y - row).abs() <= 1) & (distances.amin(-1) > 0)
        sides[near], inside[near] = distances[near], 1.0
    return heat, sides, inside


def make_pictures():
    rows, columns = -(-HEIGHT // STRIDE), -(-WIDTH // STRIDE)
    batch = {"input": torch.randn(PICTURES, HEIGHT, WIDTH, 3)}
    made = []
    for _ in range(PICTURES):
        boxes = []
        for _ in range(4):
            width, height = (1.5 + 5 * torch.rand(2)).tolist()
            left, top = ((columns - width) * torch.rand(1)).item(), ((rows - height) * torch.rand(1)).item()
            boxes.append((left, top, left + width, top + height, int(torch.randint(CLASSES, (1,)))))
        made.append(targets_of(boxes, rows, columns))
    for name, values in zip(("heat", "sides", "inside"), zip(*made)):
        batch[name] = torch.stack(values)
    return batch


def detector_loss(answers, batch, box_weight=2.0):
    logits, sides = (answer.permute(0, 2, 3, 1) for answer in answers)
    heat, inside = batch["heat"], batch["inside"].bool()
    p = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    peak = heat == 1
    focal = torch.where(peak, (1 - p) ** 2 * p.log(), (1 - heat) ** 4 * p**2 * (1 - p).log())
    a, b = sides.clamp(max=4).exp()[inside], batch["sides"][inside]
    area = lambda s: (s[:, 0] + s[:, 2]) * (s[:, 1] + s[:, 3])
    shared, hull = area(torch.minimum(a, b)), area(torch.maximum(a, b))
    union = area(a) + area(b) - shared
    giou = shared / union - (hull - union) / hull
    return -focal.sum() / peak.sum() + box_weight * (1 - giou).mean()
