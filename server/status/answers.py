"""What may be asked of the page: sessions, images, spikes. All of it only reads."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from protocol.ids import MAX_EVOLUTIONS, MAX_GENERATIONS
from server.status import metrics
from server.status.channels import channels
from server.status.details import Channel, Image, Spikes, Stimulus
from server.status.guard import Refused
from server.status.images import images, picture, stimulus
from server.status.library import Library
from server.status.records import about, open_records
from server.status.shapes import About, Event, Standing, Summary
from server.status.spikes import spikes

FOREVER = "private, max-age=31536000, immutable"
MAX_STREAMS = 256
Name = Annotated[str, Path(max_length=200, description="Name of a session: its file, without the ending.")]
Number = Annotated[int, Path(ge=0, lt=2**53)]
EvolutionNumber = Annotated[int, Path(ge=0, lt=MAX_EVOLUTIONS)]
GenerationNumber = Annotated[int, Path(ge=0, lt=MAX_GENERATIONS)]
answers = APIRouter()


@answers.get("/api/sessions")
def list_sessions(request: Request) -> list[Summary]:
    """Return the sessions there are, the one that was written last first."""
    return _library(request).summaries()


@answers.get("/api/sessions/{name}")
def describe_session(request: Request, name: Name) -> About:
    """Return what does not change while a session runs."""
    with open_records(_library(request).path(name)) as records:
        return about(records)


@answers.get("/api/sessions/{name}/now")
def say_everything(request: Request, name: Name, after: Annotated[str, Query(max_length=300)] = "") -> Event:
    """Return how things stand and all that came after a cursor: one event of the live stream, asked for."""
    return Event.model_validate_json(_library(request).watched(name).fresh().since(after)[0])


@answers.get("/api/sessions/{name}/live", response_class=StreamingResponse)
async def stream(
    request: Request,
    name: Name,
    after: Annotated[str, Query(max_length=300)] = "",
    last_event_id: Annotated[str, Header(max_length=300)] = "",
) -> StreamingResponse:
    """Stream server-sent events, each an `Event`; after a cut the stream goes on from `Last-Event-ID`."""
    library = _library(request)
    if library.n_visitors() >= MAX_STREAMS:
        raise Refused(503, "Too many pages are open. Close some of them.")
    watched = library.watched(name)
    headers = {"X-Accel-Buffering": "no"}
    told = _told(watched.events(last_event_id or after))
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


@answers.get("/api/sessions/{name}/generations/{evolution}/{generation}")
def list_images(request: Request, name: Name, evolution: EvolutionNumber, generation: GenerationNumber) -> list[Image]:
    """Return the images of a generation with their scores; evolution 0, generation 0 are the reference images."""
    with open_records(_library(request).path(name)) as records:
        return images(records, evolution, generation)


@answers.get("/api/sessions/{name}/stimuli/{stimulus_id}.png", response_class=Response)
def show_image(request: Request, name: Name, stimulus_id: Number) -> Response:
    """Return the picture of a stimulus; it never changes."""
    with open_records(_library(request).path(name)) as records:
        png = picture(records, stimulus_id)
    if png is None:
        raise Refused(404, "There is no such image, or not yet.")
    return Response(png, media_type="image/png", headers={"Cache-Control": FOREVER})


@answers.get("/api/sessions/{name}/stimuli/{stimulus_id}")
def describe_image(request: Request, name: Name, stimulus_id: Number) -> Stimulus:
    """Return what became of an image: scores, showings, counts."""
    with open_records(_library(request).path(name)) as records:
        found = stimulus(records, about(records), stimulus_id)
    if found is None:
        raise Refused(404, "There is no such image.")
    return found


@answers.get("/api/sessions/{name}/channels")
def list_channels(request: Request, name: Name, evolution: Annotated[int, Query(ge=1, le=99)] = 1) -> list[Channel]:
    """Return how every channel did in an evolution's last generations."""
    with open_records(_library(request).path(name)) as records:
        return channels(records, about(records), evolution)


@answers.get("/api/sessions/{name}/spikes/{evolution}/{generation}")
def show_spikes(
    request: Request,
    name: Name,
    evolution: EvolutionNumber,
    generation: GenerationNumber,
    channel: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    stimulus_id: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
) -> Spikes:
    """Return the histogram and the raster of a channel, over a generation or one image of it."""
    with open_records(_library(request).path(name)) as records:
        return spikes(records, about(records), evolution, generation, channel, stimulus_id)


@answers.get("/metrics", response_class=Response)
def figures(request: Request) -> Response:
    """Return figures for Prometheus, of the session that was written last."""
    library = _library(request)
    newest = next((each for each in library.summaries() if not each.problem), None)
    if newest is None:
        return Response(b"", media_type="text/plain; version=0.0.4")
    feed = library.watched(newest.name).fresh()
    now = Standing.model_validate_json(feed.standing)
    heard = library.heard()
    mine = heard if heard and heard.session_id == newest.session_id else None
    text = metrics.exposition(newest.name, now, feed.tally.last, mine, library.n_visitors())
    return Response(text, media_type="text/plain; version=0.0.4")


async def _told(events: AsyncIterator[tuple[str, str]]) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for event, cursor in events:
        yield f"id: {cursor}\ndata: {event}\n\n" if event else "event: still\ndata: {}\n\n"


def _library(request: Request) -> Library:
    library: Library = request.app.state.library
    return library
