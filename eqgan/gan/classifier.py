"""A small classifier, trained on the user's labelled images: features where Inception is not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqgan.errors import InvalidInput
from eqgan.randomness import seeded
from eqgan.whole import as_seed, as_whole

WIDTH = 64
"""Length of the features."""


class ImageClassifier(nn.Module):
    """Two strided convolutions and a hidden layer, whose activations are the features.

    Args:
        shape: Of one image, `(channels, height, width)`.
        classes: How many labels there are.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (-(-height // 4)) * (-(-width // 4)), WIDTH),
            nn.ReLU(),
        )
        self.head = nn.Linear(WIDTH, classes)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return the activations below the last layer, `(N, 64)`."""
        return torch.cat([self.trunk(part) for part in torch.split(images, 2048)])

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, `(N, classes)`."""
        logits: Tensor = self.head(self.trunk(images))
        return logits

    @torch.no_grad()
    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Return the share of images that get their label."""
        guesses = torch.cat([self(part).argmax(1) for part in torch.split(images, 2048)])
        return float((guesses == labels.to(guesses.device)).double().mean())


# Training needs gradients, wherever the caller has turned them off.
@torch.inference_mode(False)
def train_classifier(
    images: Tensor, labels: Tensor, *, epochs: int = 3, seed: int = 0
) -> ImageClassifier:
    """Train a small classifier, for scores and features of generated images.

    Adam at 5e-3 on a cosine schedule, batches of 128. Equal seeds give equal bits.

    Args:
        images: `(N, channels, height, width)`, on the scale of the generated ones.
        labels: Whole numbers from 0, `(N,)`.
        epochs: Passes over the images.
        seed: Seed of the first weights and of the order.

    Raises:
        InvalidInput: Images or labels of another shape.

    Example:
        >>> images = torch.zeros(64, 1, 8, 8)
        >>> images[32:] = 1.0
        >>> labels = torch.arange(64) // 32
        >>> train_classifier(images, labels, epochs=40).accuracy(images, labels)
        1.0
    """
    if not (isinstance(images, Tensor) and isinstance(labels, Tensor)):
        raise InvalidInput(
            "train_classifier expects tensors of images and labels; got "
            f"{type(images).__name__} and {type(labels).__name__}."
        )
    if images.dim() != 4 or labels.shape != images.shape[:1] or labels.is_floating_point():
        raise InvalidInput(
            "train_classifier expects images (N, channels, height, width) and whole labels (N,); "
            f"got {tuple(images.shape)} and {tuple(labels.shape)} of {labels.dtype}."
        )
    if not (images.is_floating_point() and len(images) and bool(torch.isfinite(images).all())):
        raise InvalidInput(
            "train_classifier expects finite floating numbers for images, at least one; got "
            f"{tuple(images.shape)} of {images.dtype}. Bytes become images.float() / 127.5 - 1."
        )
    if bool((labels < 0).any()):
        raise InvalidInput(
            f"train_classifier expects labels from 0 on; the least is {int(labels.min())}."
        )
    epochs, seed = as_whole("epochs", epochs, 1), as_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        _, channels, height, width = images.shape
        model = ImageClassifier((channels, height, width), int(labels.max()) + 1)
    model = model.to(images.device, images.dtype)
    labels = labels.to(images.device).long()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3, fused=True)
    batches = -(-len(images) // 128)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    rng = seeded(seed, images.device)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=rng, device=images.device)
        for rows in torch.split(order, 128):
            loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return model.eval()
