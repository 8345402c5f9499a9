"""DeePSiM generators, rendered as XDream renders them: all codes in one batch."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from protocol.arrays import Codes, Images
from server.generators.deepsim_networks import MEAN_BGR, VARIANTS, Network
from server.generators.generator import N_STEPS, check_codes
from server.generators.inversion import inverted
from server.generators.processor import processor
from server.generators.store import find
from server.generators.weights import fitted, read_weights, sha256_of


class Deepsim:
    """Codes of one layer of CaffeNet to pictures of 256 pixels (norm1, norm2: 240)."""

    def __init__(
        self, name: str, weights: str | Path = "", device: str = "auto", dtype: str = "float32", batch_size: int = 64
    ) -> None:
        variant = VARIANTS[name]
        self.name, self.code_shape, self.code_rms = name, variant.code_shape, variant.code_rms
        self.code_statistics = variant.code_statistics
        self.usual_norm = variant.usual_norm
        self.processor = processor(name, device, dtype, batch_size)
        path = find(name, weights)
        self.weights_sha256 = sha256_of(path)
        with torch.device("meta"):  # no numbers are drawn only to be thrown away
            network = Network(variant)
        network.load_state_dict(fitted(name, variant, read_weights(path), path), assign=True)
        self.network = self.processor.placed(network)
        self._mean_bgr = torch.tensor(MEAN_BGR, device=self.processor.device).view(3, 1, 1)

    def render(self, codes: Codes) -> Images:
        """Return the pictures, uint8 [n_codes, height_px, width_px, 3] RGB, of codes [n_codes, *code_shape]."""
        check_codes(self.name, codes, self.code_shape)
        return self.processor.draw(self._levels, codes)

    def invert(self, images: Images, n_steps: int = N_STEPS) -> Codes:
        """Return codes [n_images, *code_shape] float32 whose pictures come near these images."""
        return inverted(self.pictures, images, self.processor, self.code_shape, self.code_rms, n_steps)

    def pictures(self, codes: Tensor) -> Tensor:
        """Return the pictures [n, 3, height_px, width_px] RGB of codes; 0 is black, 1 white, neither is a limit."""
        drawn: Tensor = self.network(codes)
        return ((drawn.float() + self._mean_bgr) / 255).flip(1)

    def _levels(self, codes: Tensor) -> Tensor:
        """Return whole levels, cut and not rounded, as XDream does."""
        return (self.pictures(codes).clamp(0, 1) * 255).to(torch.uint8)


norm1 = partial(Deepsim, "deepsim-norm1")
norm2 = partial(Deepsim, "deepsim-norm2")
conv3 = partial(Deepsim, "deepsim-conv3")
conv4 = partial(Deepsim, "deepsim-conv4")
pool5 = partial(Deepsim, "deepsim-pool5")
fc6 = partial(Deepsim, "deepsim-fc6")
fc7 = partial(Deepsim, "deepsim-fc7")
fc8 = partial(Deepsim, "deepsim-fc8")
fc6_places = partial(Deepsim, "deepsim-fc6-places")
