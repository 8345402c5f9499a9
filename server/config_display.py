"""The tables of a configuration file that are about the display PC: screen, images, gaze, markers, reward."""

from typing import Annotated, Literal

from pydantic import Field

from server.config_table import Table
from server.config_values import AtLeastOneMs, FromMs


class Monitor(Table):
    """The screen of the display PC, flat and looked at square on."""

    width_cm: float = Field(52, gt=0, le=1000)
    """Width of the picture, without the frame around it."""
    distance_cm: float = Field(57, gt=0, le=1000)
    """From the eye to the screen."""
    width_px: int = Field(0, ge=0, le=20_000)
    """Pixels of a row, which the client holds the screen to; 0 = as it is."""
    height_px: int = Field(0, ge=0, le=20_000)
    """Pixels of a column, which the client holds the screen to; 0 = as it is."""
    refresh_hz: float = Field(0, ge=0, le=1000)
    """Refresh rate, which the client holds the screen to; 0 = as it is measured."""
    gamma: float = Field(1, ge=0.2, le=5)
    """Exponent of the screen's light over its grey levels, which the client takes out; 1 = leave it in."""
    gamma_table: Annotated[tuple[float, ...], Field(strict=False, max_length=256)] = ()
    """In its place, 256 levels to send for the grey levels 0 to 255."""
    gamma_measured: str = ""
    """When it was measured, such as "2026-01-31"; the client says how long ago that is."""


class Photodiode(Table):
    """A corner of the screen that says to a photodiode when images are on."""

    corner: Literal["", "upper_left", "upper_right", "lower_left", "lower_right"] = ""
    """Where; empty = none."""
    size_cm: float = Field(1.5, gt=0, le=100)
    """Side of the square."""
    mode: Literal["on", "toggle"] = "on"
    """`"on"`: white while an image is on. `"toggle"`: changes at each onset, for images without a gap."""


class Reward(Table):
    """Pulses of a valve at the display PC: one after each trial that was fixated to its end, and by hand."""

    device: str = "none"
    """`"none"`, `"serial,port=COM3"`, `"ttl,port=COM4,line=rts"`, or `package.module:Class`."""
    pulse_s: FromMs = 0
    """How long a pulse is, at most 1000; 0 = none are given."""
    gap_s: FromMs = 0
    """The least time from one pulse to the next."""
    limit_pulses: int = Field(0, ge=0)
    """How many are given in the session at most; 0 = any number."""


class Display(Table):
    """What the subject sees; sent to the stimulus client."""

    on_s: AtLeastOneMs = 100
    """How long an image stays on."""
    off_s: FromMs = 100
    """How long the background stays between two images."""
    images_per_trial: int = Field(5, ge=1, le=1000)
    """How many images are shown in one fixation."""
    inter_trial_s: FromMs = 400
    """From the end of a trial to the next fixation point."""
    fixation_s: FromMs = 300
    """How long the subject must fixate before the first image."""
    fixation_radius_deg: float = Field(1.2, gt=0, le=90)
    """How far from the fixation point the eye may stray."""
    acquire_radius_deg: float = Field(0, ge=0, le=90)
    """How near the eye must come at first; 0 = as `fixation_radius_deg`."""
    acquire_s: AtLeastOneMs = 3000
    """How long the subject has to find the fixation point."""
    timeout_s: FromMs = 0
    """How much longer the screen stays empty after a broken fixation."""
    fixation_size_deg: float = Field(0.2, gt=0, le=10)
    """Side of the fixation point, a square."""
    size_deg: float = Field(3, gt=0, le=180)
    """Width of an image."""
    x_deg: float = Field(0, ge=-90, le=90)
    """Centre of the images, to the right of the fixation point."""
    y_deg: float = Field(0, ge=-90, le=90)
    """Centre of the images, above the fixation point."""
    background: int = Field(128, ge=0, le=255)
    """Grey around the images, 0 black to 255 white."""
    trials_ahead: int = Field(2, ge=1, le=100)
    """How many trials wait at the display, so that it never has to wait for the server."""
    gaze: str = "none"
    """The eye tracker, such as `"eyelink"` or `"lsl,stream=Gaze,unit=px"`; docs/rig.md has them all."""
    markers: str = "none"
    """Where each onset's id is sent, such as `"lsl"` or `"serial,port=COM5"`; docs/rig.md has them all."""
    monitor: Monitor = Monitor()
    photodiode: Photodiode = Photodiode()
    reward: Reward = Reward()
