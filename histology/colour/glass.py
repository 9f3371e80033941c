"""Empty glass: its colour, and what colours are once the glass is made white. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .hue import hue_of

#: How far a channel is turned up or down at most to make the glass neutral.
_GAINS = (0.8, 1.25)


class Appearance(NamedTuple):
    """Colours as they are read against the glass, each of shape (n,)."""

    depth: NDArray[np.float32]
    """Of :meth:`Glass.depth`."""
    hue_deg: NDArray[np.float32]
    """Of :meth:`Glass.hue_and_chroma`."""
    chroma: NDArray[np.float32]
    """Of :meth:`Glass.hue_and_chroma`."""


@dataclass(frozen=True)
class Glass:
    """The colour of empty glass, against which every other colour of a slide is read."""

    rgb: tuple[float, float, float]
    """Red, green and blue, 0 to 255."""
    seen: bool = True
    """Whether glass was seen, or given; where it was not the colour is assumed."""

    @property
    def gain(self) -> NDArray[np.float32]:
        """Factors that make the glass neutral, one for each channel."""
        white = np.asarray(self.rgb, dtype=np.float32)
        return np.clip(white.mean() / white, *_GAINS).astype(np.float32)

    @property
    def tint(self) -> float:
        """Distance of the channels as part of the largest: 0 is neutral."""
        return 1.0 - min(self.rgb) / max(self.rgb)

    def depth(self, colours: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Largest distance of a channel from the glass, shape (n, 3) -> (n,); below 0: brighter.

        After the glass was made neutral, as hue and chroma: chroma per depth is what tells nuclei
        from dye, and would change with the lamp otherwise.
        """
        return self._depth(*(colours[..., i] for i in range(3)))

    def hue_and_chroma(
        self, colours: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Hue and chroma of colours after the glass was made neutral (hue.hue_and_chroma)."""
        return self._hue_and_chroma(*(colours[..., i] for i in range(3)))

    def appearance(
        self, red: NDArray[np.float32], green: NDArray[np.float32], blue: NDArray[np.float32]
    ) -> Appearance:
        """All that the rules ask of colours, given as channels whose shapes numpy broadcasts.

        What only two channels decide is so reckoned once for all values of the third.
        """
        channels = red, green, blue
        seen = self._depth(*channels), *self._hue_and_chroma(*channels)
        return Appearance(*(values.reshape(-1) for values in seen))

    def _depth(self, *channels: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        # channel by channel: numpy's reduction over a last axis of three takes five times as long
        white, gain = np.asarray(self.rgb, dtype=np.float32), self.gain
        red, green, blue = (gain[i] * (white[i] - channels[i]) for i in range(3))
        return np.asarray(np.maximum(np.maximum(red, green), blue), dtype=np.float32)

    def _hue_and_chroma(
        self, *channels: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        gain = self.gain
        red, green, blue = (
            (channels[i] * gain[i]).astype(np.float32, copy=False) for i in range(3)
        )
        return hue_of(red, green, blue)


#: What is assumed where no glass is seen.
ASSUMED_WHITE = Glass((255.0, 255.0, 255.0), seen=False)
