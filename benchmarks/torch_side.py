"""The PyTorch side of bench_train, run by an interpreter that has it: an epoch for each line read, CPU seconds out.

The same network, optimiser, batches and ranges; images are warped by `grid_sample`, a batch at a time.
"""

import math
import resource
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BATCH = 32


def network(channels: int, classes: int, side: int) -> nn.Module:
    left = ((side - 2) // 2 - 2) // 2  # two convolutions without padding, each pooled by two
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * left * left, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, classes),
    )  # fmt: skip


def varied(images: torch.Tensor, ranges: dict[str, float]) -> torch.Tensor:
    count = len(images)

    def spread(reach: float) -> torch.Tensor:
        return (2 * torch.rand(count) - 1) * reach

    turn, zoom = spread(math.radians(ranges["rotation_deg"])), torch.exp(spread(math.log1p(ranges["zoom"])))
    flip = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    cosine, sine = torch.cos(turn) / zoom, torch.sin(turn) / zoom
    rows = [cosine * flip, -sine, spread(2 * ranges["shift"]), sine * flip, cosine, spread(2 * ranges["shift"])]
    grid = functional.affine_grid(torch.stack(rows, 1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    warped = functional.grid_sample(images, grid, align_corners=False)
    return (warped * (1 + spread(ranges["brightness"]))[:, None, None, None]).clamp(0, 1)


def main() -> None:
    data = np.load(sys.argv[1])
    ranges = {name: float(data[name]) for name in ("rotation_deg", "zoom", "shift", "brightness")}
    pixels, labels = torch.from_numpy(data["pixels"]), torch.from_numpy(data["labels"])
    torch.manual_seed(0)
    # Channels last is what PyTorch's own guide asks for on processors.
    model = network(pixels.shape[3], 4, pixels.shape[1]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF)
        for chosen in torch.randperm(len(pixels)).split(BATCH):
            images = varied(pixels[chosen].permute(0, 3, 1, 2).float() / 255, ranges)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=sys.argv[2] == "mixed_bfloat16"):
                given = model(images)
            functional.cross_entropy(given.float(), labels[chosen]).backward()
            optimizer.step()
        after = resource.getrusage(resource.RUSAGE_SELF)
        print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, flush=True)


if __name__ == "__main__":
    main()
