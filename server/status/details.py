"""What the page's API says of one image or one channel, where somebody asks to see it."""

from server.status.shapes import Shape


class Presentation(Shape):
    """One showing of one image."""

    presentation_id: int
    trial: int
    generation: int
    onset_s: float | None
    """On the display's clock."""
    void: str
    measured: bool
    frames_expected: int | None
    frames_shown: int | None
    rates_hz: list[float]
    """Of the channels, in the response window."""
    baseline_hz: list[float]
    onset_source: str


class Stimulus(Shape):
    """An image, what it scored and how it was shown."""

    stimulus_id: int
    evolution: int
    generation: int
    place: int
    name: str
    sha256: str
    code_norm: float | None
    rms_contrast: float | None
    scores: list[tuple[int, int, float | None]]
    """Evolution, generation, score: one for an evolved image, one a generation for a reference image."""
    shown: int
    """How often it was on screen."""
    scored: int
    """How often it was measured."""
    presentations: list[Presentation]
    """The last two hundred, the newest first."""
    marks: list[str]


class Image(Shape):
    """An image of a generation."""

    stimulus_id: int
    place: int
    score: float | None
    rendered: bool


class Channel(Shape):
    """How one channel does."""

    channel: int
    name: str
    scored: list[int]
    """Evolutions that score it."""
    rate_hz: float | None
    """Mean over the last generation's evolved images."""
    baseline_hz: float | None
    change_hz: float | None
    """Since the first generation."""
    reliability: float | None
    """Correlation of the reference images' mean rates, odd against even showings of each."""
    history_hz: list[float | None]
    """Mean rate of the last generations, oldest first."""


class Spikes(Shape):
    """Spikes around the onset: a histogram and a raster."""

    channel: int
    n: int
    """Presentations in the histogram."""
    with_times: bool
    """Whether the recording system gives spike times."""
    bin_s: float
    start_s: float
    rates_hz: list[float]
    reference_hz: list[float]
    """The same for the reference images."""
    raster: list[list[float]]
    """Spike times of the last presentations, oldest first."""
