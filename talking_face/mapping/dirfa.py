"""The DIRFA mapping network: speech to a distribution over facial animation.

After "Audio-driven talking face generation with diverse yet realistic facial animations", Wu et
al., Pattern Recognition 144, 2023: a transformer models the probability of the animation given the
audio and is sampled autoregressively under a temporally-biased mask. The paper's code was never
published; this is our reading of it, for little data and two cores:

- *Listeners* hear what the lips do on average, and whether they meet: several small convolution
  networks on the speech encoder's activations, trained alike from other beginnings; their mean is
  the expected face, which `talking_face.mapping.articulation` makes as quick as a speaker's. Beside
  them *visemes* are told, lest an f look like a p.
- The *decoder* models everything that the audio leaves open, p(y_k | y_0 … y_{k-1}, audio, style,
  affect), where y_k holds head pose and brows and how far the lips stray from the expected ones,
  once every `STEP` frames, and affect is the valence and arousal of the voice at that moment. A
  cubic spline joins the steps, so that nothing moves at the rate of frames. Each step gives a
  mixture of Gaussians for each of three groups of channels: heads mostly hold still and sometimes
  turn, for which one Gaussian is too broad and too narrow at once. With `COMPONENTS` at 1, people
  whom no training saw are less likely by more than a nat a step (training logs it). Tokens weren't
  tried: motion would step where it should glide.

The temporally-biased mask adds to the self-attention of head h of H, from step i to step j,

    bias_h(i, j) = -2^(-8 (h + 1) / H) (i - j)  for 0 ≤ i - j < MEMORY,  -∞ elsewhere,

so that near steps weigh more, each head in its own measure, and what is further than `MEMORY` steps
away is forgotten: any length is decoded in constant memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from talking_face.mapping.decoder import GROUPS, N_AFFECT, N_STATE, N_STYLE, Decoder
from talking_face.mapping.listeners import Listener
from talking_face.mapping.visemes import Visemes, load_visemes
from talking_face.weights import load_weights

LISTENERS = 3


class Dirfa(nn.Module):
    """The whole network: listeners and decoder.

    Attributes:
        visemes: tells p, f and w apart; weights of their own, None until they are loaded.
        style_scale: (N_STYLE, N_STYLE), a factor of the covariance of people's styles.
        usual_affect: (N_AFFECT,), valence and arousal of an average voice.
        stirring: (N_STYLE, N_AFFECT), by how much more lively people are whose voice has more.
        together: (N_STATE, N_STATE), a factor of the correlation of the channels' surprises: heads
            and faces move as one, which the mixtures, channel by channel, don't know.
        free, tight: (16, 16), what of the lips' straying is not seen in their opening and width,
            and what is; rows of states times these. See `training.fit.decoder.lip_freedom`.
    """

    style_scale: Tensor
    usual_affect: Tensor
    stirring: Tensor
    together: Tensor
    free: Tensor
    tight: Tensor

    def __init__(self, biased: bool = True) -> None:
        super().__init__()
        self.listeners = nn.ModuleList(Listener() for _ in range(LISTENERS))
        self.visemes: Visemes | None = None
        self.decoder = Decoder(biased=biased)
        self.register_buffer("style_scale", torch.eye(N_STYLE))
        self.register_buffer("usual_affect", torch.zeros(N_AFFECT))
        self.register_buffer("stirring", torch.zeros(N_STYLE, N_AFFECT))
        self.register_buffer("together", torch.eye(N_STATE))
        self.register_buffer("free", torch.zeros(GROUPS["lower"], GROUPS["lower"]))
        self.register_buffer("tight", torch.eye(GROUPS["lower"]))


def load_dirfa(device: str | torch.device = "cpu") -> Dirfa:
    """The shipped network, frozen; the decoder in double precision: see `sampler.sample_states`.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    network = Dirfa()
    tensors = load_weights("dirfa")
    network.load_state_dict({name: torch.from_numpy(a).float() for name, a in tensors.items()})
    network.visemes = load_visemes()
    network.decoder.double()
    return network.requires_grad_(False).eval().to(device)
