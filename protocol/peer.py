"""The peers' end of the conversation: says Hello until welcomed, keeps reports until they are on disk.

A `Peer` never gives up on a server by itself and never loses what it keeps: when the server falls silent it
says Hello again, on a fresh connection, and once welcomed sends all that is not yet acknowledged. What was
kept for one session is never given to another: ids mean something only inside their session.
"""

import logging
import uuid
from collections.abc import Callable, Iterator
from math import inf, nan

import zmq

from protocol.codec import MAX_ARRAY_BYTES, MAX_REPORT_BYTES, DecodeError, decode, encode
from protocol.handshakes import CUT, Handshakes, why_peer_failed
from protocol.keys import PeerKey
from protocol.messages import Acknowledge, Farewell, Heartbeat, Hello, Message, Responses, TrialReport, Welcome

HEARTBEAT_S = 0.5
HELLO_S = 0.25
"""A new server is found within this time."""
SERVER_LOST_S = 2.0
READ_ON_S = 0.1
"""How long to read on after so much silence, before it counts."""
RESEND_S = 3.0
"""What is kept and not acknowledged for so long is sent again: a full queue or a cut may have swallowed it."""
KNOCK_S = 1.0
"""A server that turned us away is tried again so often: its keys may be mended meanwhile."""
CUTS = 2
"""A connection that is cut so often before it stands is no accident."""
_Key = tuple[str | None, str, int]
"""Session, kind, and the trial or the first presentation: ids mean something only inside their session."""
log = logging.getLogger(__name__)


def new_instance() -> str:
    """Return a random name for this process."""
    return uuid.uuid4().hex


class Peer:
    """One DEALER connection to the server, for a program that is a display, an acquisition side or an operator.

    `hello` is asked for a fresh Hello each time one is sent; `clock` returns monotonic seconds.
    Call `receive` often (at least twice a second); all socket work happens inside it and `send`.
    """

    def __init__(
        self,
        address: str,
        hello: Callable[[], Hello],
        clock: Callable[[], float],
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
        key: PeerKey | None = None,
    ) -> None:
        """Connect to a server; with a key, to none but the one that the key was made for."""
        self.address = address
        self.session_id: str | None = None
        """The session that welcomed us last; None before the first Welcome."""
        self.welcomed = False
        self.farewell: Farewell | None = None
        """Set when the server has turned us away for good."""
        self.trouble = ""
        """Why no connection comes about, in a sentence for people; "" = nothing is known to be wrong."""
        self.round_trip_s = nan
        self.data_age_s = nan
        """Sent with each heartbeat; an acquisition side keeps it up to date."""
        self._hello = hello
        self._clock = clock
        self._context = context or zmq.Context.instance()
        self._key = key
        self._cuts = 0
        self._turned_away_s: float | None = None
        self._kept: dict[_Key, Message] = {}
        self._heard_s = clock()
        self._beat_s = self._said_hello_s = self._sent_s = self._missed_s = -inf
        self._server_sent_s = nan
        self._socket: zmq.Socket[bytes] = self._connect()

    @property
    def silence_s(self) -> float:
        """Seconds since the server was last heard."""
        return self._clock() - self._heard_s

    @property
    def unacknowledged(self) -> int:
        """How many messages of this session are kept because the server has not said that they are on disk."""
        return sum(session_id == self.session_id for session_id, _, _ in self._kept)

    def kept_trials(self) -> set[int]:
        """Return the trials of this session whose reports are kept."""
        return {n for session_id, kind, n in self._kept if (session_id, kind) == (self.session_id, "trial")}

    def send(self, message: Message) -> bool:
        """Send a message now; return False, having done nothing, when there is no connection to send it on.

        Raise ValueError for one that is larger than a server takes: it would hang up, again and again.
        """
        frames = encode(message)
        if any(len(frame) > MAX_REPORT_BYTES for frame in frames):
            raise ValueError(
                f"a {type(message).__name__} with an array of more than {MAX_REPORT_BYTES >> 20} MiB, which no server "
                "takes: answer fewer presentations at once"
            )
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK, copy=True)
        except zmq.Again:
            return False
        return True

    def keep(self, message: TrialReport | Responses) -> None:
        """Send a message, and again after every reconnect until the server acknowledges it."""
        self._kept[_key(self.session_id, message)] = message
        self._sent_s = self._clock()
        if self.welcomed:
            self.send(message)

    def receive(self, timeout_s: float) -> Iterator[Message]:
        """Yield what the server has to say, waiting at most this long for the first message.

        Welcome is yielded too, every time; Heartbeat and Acknowledge are dealt with here.
        """
        self._keep_in_touch()
        if not self._socket.poll(round(max(0.0, timeout_s) * 1000)):
            return
        while self._socket.poll(0):
            message = self._read()
            if message is not None:
                yield message

    def close(self, reason: str = "") -> None:
        """Say Farewell if there is a reason, and close the connection."""
        if self._socket.closed:
            return
        if reason and self.welcomed:
            self.send(Farewell(reason))
        self._handshakes.close()
        self._socket.close(linger=200)

    def _read(self) -> Message | None:
        try:
            message = decode(self._socket.recv_multipart())
        except DecodeError as error:
            log.warning("dropped what %s sent: %s", self.address, error)
            return None
        self._heard_s = self._clock()
        match message:
            case Heartbeat():
                self._server_sent_s = message.sent_s
                self.round_trip_s = self._heard_s - message.echo_s
                return None
            case Acknowledge():
                self._forget(message)
                return message if message.controls else None
            case Welcome():
                self._enter(message)
            case Farewell():
                self.welcomed = False
                self.farewell = message if message.final else None
        return message

    def _enter(self, welcome: Welcome) -> None:
        self.session_id, self.welcomed = welcome.session_id, True
        self.trouble, self._cuts = "", 0
        self._send_kept()
        for session_id, kind, name in self._kept:
            if session_id != welcome.session_id:
                log.warning("%s %s of session %s is kept, not sent to %s", kind, name, session_id, welcome.session_id)

    def _send_kept(self) -> None:
        self._sent_s = self._clock()
        for (session_id, _, _), message in self._kept.items():
            if session_id == self.session_id:
                self.send(message)

    def _forget(self, acknowledge: Acknowledge) -> None:
        safe = [(self.session_id, "trial", trial) for trial in acknowledge.trials.tolist()]
        safe += [(self.session_id, "responses", first) for first in acknowledge.presentation_ids.tolist()]
        for key in safe:
            self._kept.pop(key, None)

    def _keep_in_touch(self) -> None:
        now_s = self._clock()
        if self.farewell is not None:
            return
        if self.welcomed and self.silence_s > SERVER_LOST_S and self._is_missed():
            self.welcomed = False
            self._reconnect()
        if not self.welcomed:
            self._look_at_the_door()
        if not self.welcomed and now_s - self._said_hello_s >= HELLO_S:
            self._said_hello_s = now_s
            self.send(self._hello())
        if self.welcomed and now_s - self._beat_s >= HEARTBEAT_S:
            self._beat_s = now_s
            self.send(Heartbeat(now_s, self._server_sent_s, self.data_age_s))
        if self.welcomed and self._kept and now_s - self._sent_s >= RESEND_S:
            self._send_kept()

    def _is_missed(self) -> bool:
        """Whether the silence goes on: if this process stood still, what was said meanwhile is still to be read."""
        if self._missed_s < self._heard_s:
            self._missed_s = self._clock()
        return self._clock() - self._missed_s >= READ_ON_S

    def _look_at_the_door(self) -> None:
        """Say why the server turns us away, if it does, and knock again after a while: libzmq itself would not."""
        now_s = self._clock()
        for how in self._handshakes.failed():
            self._cuts += how == CUT
            if how == CUT and self._cuts < CUTS:
                continue
            self._turned_away_s = self._turned_away_s or now_s
            if how != CUT or not self.trouble:
                self._say(why_peer_failed(how, self.address, self._key))
        if self._turned_away_s is not None and now_s - self._turned_away_s >= KNOCK_S:
            self._turned_away_s = None
            self._reconnect()

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble

    def _reconnect(self) -> None:
        self._handshakes.close()
        self._socket.close(linger=0)
        self._socket = self._connect()

    def _connect(self) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # queue nothing for a server that is not there
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_ARRAY_BYTES)
        socket.setsockopt(zmq.CONNECT_TIMEOUT, 1000)  # a host that is rebooted is found soon after
        socket.setsockopt(zmq.HANDSHAKE_IVL, 2000)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        if self._key is not None:
            self._key.open(socket)
        self._handshakes = Handshakes(socket)
        try:
            socket.connect(self.address)
        except zmq.ZMQError:
            self._handshakes.close()
            socket.close()
            raise
        return socket


def _key(session_id: str | None, message: TrialReport | Responses) -> _Key:
    if isinstance(message, TrialReport):
        return (session_id, "trial", message.trial)
    return (session_id, "responses", int(message.presentation_ids[0]))
