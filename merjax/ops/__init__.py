"""Pure functions of one clip: from frames or flow to network input.

`INPUTS` is the table that a config's `input.name` is looked up in.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float

from merjax.ops import active, flow, midi, rank_pool


class Input(NamedTuple):
    """How a network input is made from a clip.

    Attributes:
        make: takes the clip's parts named in `needs`, then keyword arguments; gives [p h w c].
        needs: "frames" (padded), "length", "apex" (0-based); flow "onset_apex" and "apex_offset"; "flows" of
            consecutive frames (as many as frames, the last ones padding); "intensity", the mean length of the flow
            from the onset to each frame.
        streams: what a network sees at a time: p, but of an input of views those of one view.
        views: names of the views; each is an image by itself, see `merjax.views`. () where a clip has one.
        kind: "image"; "flow" where channels 0 and 1 are (u, v), so that flips and rotations act on them as on vectors;
            "colours" where RGB encodes flow (`colour.hsv`).
    """

    make: Callable[..., Float[Array, "p h w c"]]
    needs: tuple[str, ...]
    streams: int = 1
    kind: str = "image"
    views: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """p, all views counted."""
        return self.streams * max(1, len(self.views))


INPUTS: dict[str, Input] = {
    "apex": Input(active.apex_frame, ("frames", "apex")),
    "onset_apex_difference": Input(active.onset_apex_difference, ("frames", "apex")),
    "active_image": Input(active.active_image, ("frames", "length")),
    "dynamic_image": Input(rank_pool.dynamic_image, ("frames", "length")),
    "rise_dynamic_image": Input(rank_pool.rise_dynamic_image, ("frames", "apex")),
    "fall_dynamic_image": Input(rank_pool.fall_dynamic_image, ("frames", "length", "apex")),
    "phase_dynamic_images": Input(rank_pool.phase_dynamic_images, ("frames", "length", "apex"), streams=2),
    "dynamic_views": Input(rank_pool.dynamic_views, ("frames", "length", "apex"), views=("whole", "rise", "fall")),
    "mesti": Input(rank_pool.mesti, ("frames", "length", "apex")),
    "midi": Input(midi.midi, ("frames", "length")),
    "trdi_midi": Input(midi.trdi_midi, ("frames", "length"), streams=2),
    "midi_flow": Input(midi.midi_of, ("frames", "length", "intensity")),
    "trdi_midi_flow": Input(midi.trdi_midi_of, ("frames", "length", "intensity"), streams=2),
    "onset_apex": Input(flow.onset_apex, ("onset_apex",), kind="flow"),
    "apex_offset": Input(flow.apex_offset, ("apex_offset",), kind="flow"),
    "two_phases": Input(flow.two_phases, ("onset_apex", "apex_offset"), streams=2, kind="flow"),
    "cof": Input(flow.cof, ("onset_apex", "apex_offset"), kind="flow"),
    "mm_cof": Input(flow.mm_cof, ("onset_apex", "apex_offset"), kind="flow"),
    "cof_hsv": Input(flow.cof_hsv, ("onset_apex", "apex_offset"), kind="colours"),
    "mm_cof_hsv": Input(flow.mm_cof_hsv, ("onset_apex", "apex_offset"), kind="colours"),
    "dynamic_flow": Input(flow.dynamic_flow, ("flows", "length"), kind="flow"),
}
