"""Neurons whose best image is known, so that a rehearsal can say how close a search came.

Places and lengths are fractions of half the image's width: x runs from -1 (left) to 1 (right), y from -1 (bottom) to 1
(top). An activation is 0 or more, and 1 for the best of all images that a screen can show.

The best image follows from how they are made. An energy cell answers with the length of an image's projection on an
even and an odd filter (Adelson & Bergen 1985, J Opt Soc Am A 2:284), that is with the largest response of any linear
filter whose phase lies between. The best image for a linear filter is its sign, white where it is positive and black
where it is negative, and the response to it is the sum of the filter's absolute values; so the best image for the cell
is the sign of the phase whose sum is largest. A template cell answers with a bell of the distance to its picture.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.arrays import Images
from protocol.plugins import PluginError, create, nearest

Plane = NDArray[np.float64]
"""[height_px, width_px]"""
N_PHASES = 256
"""Phases that the best one is sought among; the sum of absolute values changes by less than 0.01 % in between."""
AS_GOOD = 0.98
"""An image with this share of the best one's activation is as good."""
N_OPTIMA = 16
N_DRAWN = 8
"""Drawings of a kind among which the one of the most contrast becomes a template."""
EDGE_SD = 3.5
"""Beyond so many standard deviations of its envelope a filter is cut off, and its best image is grey."""
TEMPLATE_PX = 32
"""A template is compared at this resolution: finer than a neuron in a rehearsal needs."""
LEVEL_WEIGHT = 0.1
"""What a difference in mean colour counts beside one in what is drawn: neurons see contrast, hardly the level."""
GREY = 127.5
LIMITS = {
    "x": (-1, 1),
    "y": (-1, 1),
    "size": (0.02, 2),
    "radius": (0.05, np.inf),
    "cycles": (0.5, 100),
    "selectivity": (0.01, 100),
}


class KnownNeuron(Protocol):
    """A neuron that answers images and knows which one it likes best."""

    @property
    def name(self) -> str:
        """What `create_neuron` makes it of."""

    def respond(self, images: Images) -> NDArray[np.float64]:
        """Return the activations, [n], by images [n, height_px, width_px, 3] uint8; from 0 to 1."""

    def best_image(self, size_px: int) -> Images:
        """Return the best image, [size_px, size_px, 3] uint8; its activation is 1."""

    def optima(self, size_px: int) -> Images:
        """Return images that are as good as the best, [n, size_px, size_px, 3]; the first is the best."""

    def field(self, size_px: int) -> Plane:
        """Return how much each pixel of an image matters, from 0 to 1."""

    def sees(self, images: Images) -> NDArray[np.float64]:
        """Return what it can tell apart, [n, height_px, width_px, n_colours], from -1 to 1."""


@dataclass(frozen=True)
class EnergyNeuron:
    """A complex cell with bars bent to arcs of some radius, or straight: it likes a contour, dark or bright alike."""

    name: str = "gabor"
    x: float = 0.0
    y: float = 0.0
    angle_deg: float = 90.0
    """Which way its bars run at (x, y): 0 = level, 90 = upright, counter-clockwise."""
    cycles: float = 3.0
    """Periods of its bars in an image's width."""
    size: float = 0.35
    """Standard deviation of its envelope."""
    radius: float = np.inf
    """Of its bars' bend; they bend to the left of `angle_deg`. Infinite = straight."""

    def respond(self, images: Images) -> NDArray[np.float64]:
        """Return the length of the projection on the two filters, as a share of the largest there is."""
        pair, largest = self._filters(images.shape[1], images.shape[2])
        contrast = _grey(images).reshape(len(images), -1)
        return np.asarray(np.minimum(np.hypot(*(contrast @ pair.T).T) / largest, 1.0))

    def best_image(self, size_px: int) -> Images:
        """Return the sign of the best of its linear filters, black and white."""
        return np.asarray(self.optima(size_px)[0])

    def optima(self, size_px: int) -> Images:
        """Return the signs of filters of other phases too, where those are as good."""
        pair, largest = self._filters(size_px, size_px)
        linear = _phases() @ pair
        activations = np.abs(linear).sum(axis=1) / largest
        good = np.flatnonzero(activations >= AS_GOOD)
        others = good[:: max(1, len(good) // N_OPTIMA)]
        pixels = np.rint(GREY + GREY * np.sign(linear[[activations.argmax(), *others]])).astype(np.uint8)
        return np.repeat(pixels.reshape(-1, size_px, size_px, 1), 3, axis=3)

    def field(self, size_px: int) -> Plane:
        """Return the envelope."""
        return self._envelope(*_coordinates(size_px, size_px))

    def sees(self, images: Images) -> NDArray[np.float64]:
        """Return grey levels: it is colour-blind."""
        return _grey(images)[..., None]

    def _filters(self, height_px: int, width_px: int) -> tuple[NDArray[np.float64], float]:
        """Return the even and the odd filter, [2, n_pixels], and the largest response there is."""
        return _filters(self, height_px, width_px)

    def _envelope(self, x: Plane, y: Plane) -> Plane:
        squared = ((x - self.x) ** 2 + (y - self.y) ** 2) / self.size**2
        return np.where(squared < EDGE_SD**2, np.exp(-squared / 2), 0.0)

    def _across(self, x: Plane, y: Plane) -> Plane:
        """Return how far each place is from the middle bar."""
        angle = np.deg2rad(self.angle_deg)
        normal_x, normal_y = -np.sin(angle), np.cos(angle)
        if np.isinf(self.radius):
            return np.asarray((x - self.x) * normal_x + (y - self.y) * normal_y)
        centre_x, centre_y = self.x + self.radius * normal_x, self.y + self.radius * normal_y
        return np.asarray(self.radius - np.hypot(x - centre_x, y - centre_y))


@dataclass(frozen=True, eq=False)
class TemplateNeuron:
    """A cell that likes one picture, and others the less the more they differ from it."""

    name: str
    picture: Images
    """[height_px, width_px, 3] RGB."""
    selectivity: float = 2.0
    """The picture's mean colour alone has an activation of exp(-selectivity / 2)."""

    def respond(self, images: Images) -> NDArray[np.float64]:
        """Return a bell of the mean squared difference, in units of the picture's own variance."""
        template = self._template
        seen = np.stack([_shrunk(image) for image in images]) if len(images) else np.zeros((0, *template.shape))
        difference = seen - template
        level = difference.mean(axis=(1, 2), keepdims=True)
        squared = np.mean((difference - level) ** 2 + LEVEL_WEIGHT * level**2, axis=(1, 2, 3))
        variance = np.mean((template - template.mean(axis=(0, 1))) ** 2)
        return np.asarray(np.exp(-self.selectivity / 2 * squared / max(variance, 1e-6)))

    def best_image(self, size_px: int) -> Images:
        """Return the picture."""
        picture = Image.fromarray(self.picture).resize((size_px, size_px), Image.Resampling.BICUBIC)
        return np.asarray(picture, np.uint8)

    def optima(self, size_px: int) -> Images:
        """Return the picture alone: no other is as good."""
        return self.best_image(size_px)[None]

    def field(self, size_px: int) -> Plane:
        """Return 1 everywhere."""
        return np.ones((size_px, size_px))

    def sees(self, images: Images) -> NDArray[np.float64]:
        """Return red, green and blue."""
        return np.asarray(images / GREY - 1)

    @property
    def _template(self) -> NDArray[np.float64]:
        # Of the picture as it is shown best, so that its activation is 1 at its own size as well.
        return _shrunk(self.picture)


def curvature(
    name: str = "curve",
    x: float = 0.0,
    y: float = 0.0,
    angle_deg: float = 90.0,
    cycles: float = 2.0,
    size: float = 0.35,
    radius: float = 0.45,
) -> EnergyNeuron:
    """Return a cell that likes a bent contour."""
    return EnergyNeuron(name, x, y, angle_deg, cycles, size, radius)


def template(name: str = "template", picture: str = "star", selectivity: float = 2.0) -> TemplateNeuron:
    """Return a cell that likes a picture: an image file, or a kind of the embedded networks' drawings."""
    return TemplateNeuron(name, _picture(picture), selectivity)


KINDS = {
    "gabor": "simulator.ground_truth:EnergyNeuron",
    "curve": "simulator.ground_truth:curvature",
    "template": "simulator.ground_truth:template",
}


def create_neuron(text: str) -> KnownNeuron:
    """Return the neuron that a text describes: "gabor", "curve x=0.2 radius=0.5", "template picture=star".

    The text is its name. Raise PluginError for what it cannot mean.
    """
    kind, *pairs = text.split() or [""]
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise PluginError(f"neuron {text!r}: an option is written key=value, got {pair!r}.")
        options[key] = value if key == "picture" else _number(text, key, value)
    return cast(KnownNeuron, create("known neuron", kind, KINDS, " ".join(text.split()), **options))


def random_neuron(kind: str, seed: int) -> KnownNeuron:
    """Return a neuron of that kind at a random place, of random size and direction; the same for the same seed."""
    random = np.random.default_rng((seed, list(KINDS).index(kind)))
    if kind == "template":
        from simulator.networks.images import KINDS as DRAWINGS

        return create_neuron(f"template picture={DRAWINGS[int(random.integers(len(DRAWINGS)))]}")
    x, y = random.uniform(-0.4, 0.4, 2)
    where = f"x={x:.2f} y={y:.2f} angle_deg={random.uniform(0, 360):.0f} size={random.uniform(0.2, 0.4):.2f}"
    bend = f" radius={random.uniform(0.25, 0.6):.2f}" if kind == "curve" else f" cycles={random.uniform(2, 5):.1f}"
    return create_neuron(f"{kind} {where}{bend}")


@lru_cache(maxsize=256)
def _filters(neuron: EnergyNeuron, height_px: int, width_px: int) -> tuple[NDArray[np.float64], float]:
    x, y = _coordinates(height_px, width_px)
    envelope = neuron._envelope(x, y)
    phase = np.pi * neuron.cycles * neuron._across(x, y)
    # Uniform grey, of whatever level, is worth nothing.
    waves = [wave - np.sum(wave * envelope) / np.sum(envelope) for wave in (np.cos(phase), np.sin(phase))]
    pair = np.stack([(envelope * wave).ravel() for wave in waves])
    return pair, float(np.abs(_phases() @ pair).sum(axis=1).max())


def _phases() -> NDArray[np.float64]:
    """Return [N_PHASES, 2] weights of the even and the odd filter."""
    phases = np.arange(N_PHASES) * 2 * np.pi / N_PHASES
    return np.stack([np.cos(phases), np.sin(phases)], axis=1)


def _coordinates(height_px: int, width_px: int) -> tuple[Plane, Plane]:
    columns, rows = np.arange(width_px), np.arange(height_px)
    x, y = (2 * columns + 1 - width_px) / width_px, (height_px - 1 - 2 * rows) / width_px
    return np.broadcast_to(x, (height_px, width_px)), np.broadcast_to(y[:, None], (height_px, width_px))


def _grey(images: Images) -> NDArray[np.float64]:
    """Return [n, height_px, width_px], from -1 (black) to 1 (white)."""
    return np.asarray(images.mean(axis=3) / GREY - 1)


def _shrunk(image: Images) -> NDArray[np.float64]:
    """Return [TEMPLATE_PX, TEMPLATE_PX, 3], from -1 to 1."""
    small = Image.fromarray(image).resize((TEMPLATE_PX, TEMPLATE_PX), Image.Resampling.BOX)
    return np.asarray(small, np.float64) / GREY - 1


def _picture(name: str) -> Images:
    from simulator.networks.images import KINDS as DRAWINGS
    from simulator.networks.images import procedural_images

    if name in DRAWINGS:
        drawn = procedural_images(N_DRAWN, 0, [name]).images
        return np.asarray(drawn[drawn.std(axis=(1, 2)).sum(axis=1).argmax()])
    try:
        with Image.open(Path(name)) as file:
            return np.asarray(file.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as wrong:
        raise PluginError(
            f"template picture {name!r} is no image file and no drawing.{nearest(name, DRAWINGS)} "
            f"Drawings: {', '.join(DRAWINGS)}."
        ) from wrong


def _number(text: str, key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise PluginError(f"neuron {text!r}: {key} must be a number, got {value!r}.") from None
    low, high = LIMITS.get(key, (-np.inf, np.inf))
    if not low <= number <= high:
        raise PluginError(f"neuron {text!r}: {key} must lie in {low:g} to {high:g}, got {value}.")
    return number
