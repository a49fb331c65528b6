"""Random sequences of messages, compared with a simple model of the session."""

import hashlib

import msgpack
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from layerfusion.server.config import ServerConfig
from layerfusion.server.net.rate_limits import TokenBucket
from layerfusion.server.net.session import Close, Commit, Drop, Keep, Send, Session
from layerfusion.server.protocol.frames import Chunk
from layerfusion.server.protocol.messages import (
    Cancel,
    Generated,
    Hello,
    Refused,
    Resume,
    Submit,
    Upload,
    UploadRefused,
    Welcome,
)
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.translate import limits, model_infos

WIRE = Wire(msgpack.packb, msgpack.unpackb)
WELCOME = Welcome(
    protocol=(1, 0),
    version="0",
    instance="a",
    models=model_infos(),
    limits=limits(ServerConfig(layer_bytes=1000)),
    codecs=("raw",),
)
JOBS = st.uuids().map(str)
PIECES = st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=4)
BURST = 60


class Conversation(RuleBasedStateMachine):
    """Valid and invalid messages of a client, and the effects that the session must return."""

    @initialize()
    def connect(self):
        self.now = 0.0
        self.session = Session(WELCOME, TokenBucket(rate=0, burst=BURST, clock=lambda: self.now))
        self.greeted = self.ended = False
        self.pieces = None  # of the upload under way, with the number of those sent
        self.sent = 0
        self.messages = 0

    def say(self, item):
        """Send one frame and return the effects. Counts messages like the session."""
        frame = item if isinstance(item, (bytes, str)) else WIRE.encode(item)
        self.messages += not isinstance(frame, str)
        effects = self.session.receive(frame)
        if self.messages > BURST and not isinstance(frame, str):
            assert self.refusal(effects) == "too_fast"
            self.ended = True
            return None
        return effects

    @staticmethod
    def refusal(effects):
        """The code of the `Refused` in effects that end the session. They have no effect after the close."""
        assert [type(effect) for effect in effects] == [Send, Close]
        assert isinstance(effects[0].message, Refused)
        assert effects[1].code in (1003, 1008)
        return effects[0].message.code

    def refused(self, item, code):
        effects = self.say(item)
        if effects is not None:
            assert self.refusal(effects) == code
            self.ended = True

    # ---- what may be said, in its place and out of it

    @precondition(lambda self: not self.ended)
    @rule(minor=st.integers(0, 9))
    def hello(self, minor):
        hello = Hello(protocol=(1, minor), client="c", version="1")
        if self.greeted:
            self.refused(hello, "unexpected_message")
        elif (effects := self.say(hello)) is not None:
            assert effects == [Send(WELCOME)]
            self.greeted = True

    @precondition(lambda self: not self.ended)
    @rule(job=JOBS, kind=st.sampled_from([Cancel, Resume]))
    def ask(self, job, kind):
        message = kind(job=job)
        if not self.greeted:
            self.refused(message, "unexpected_message")
        elif (effects := self.say(message)) is not None:
            assert effects == [message]

    @precondition(lambda self: not self.ended)
    @rule(job=JOBS, width=st.integers(1, 65_535))
    def submit(self, job, width):
        source = Generated(prompt="x")
        submit = Submit(job=job, width=width, height=64, background=source, foregrounds=(source,), model="tiny")
        if not self.greeted:
            self.refused(submit, "unexpected_message")
        elif (effects := self.say(submit)) is not None:
            assert effects == [submit]

    @precondition(lambda self: not self.ended)
    @rule(pieces=PIECES, large=st.booleans())
    def upload(self, pieces, large):
        data = b"".join(pieces)
        upload = Upload(transfer=5, layer=hashlib.sha256(data).hexdigest(), bytes=max(4, 1001 if large else len(data)))
        if not self.greeted:
            self.refused(upload, "unexpected_message")
            return
        effects = self.say(upload)
        if effects is None:
            return
        if self.pieces is not None or large:
            (effect,) = effects
            assert isinstance(effect.message, UploadRefused)
            assert effect.message.code == ("unexpected_message" if self.pieces is not None else "too_large")
        else:
            assert effects == [upload]
            self.pieces, self.sent = (pieces if upload.bytes == len(data) else [*pieces, bytes(4 - len(data))]), 0
            self.whole = upload.bytes == len(data)

    @precondition(lambda self: not self.ended and self.greeted and self.pieces is not None)
    @rule()
    def next_chunk(self):
        data = self.pieces[self.sent]
        effects = self.say(Chunk(5, self.sent, data))
        if effects is None:
            return
        self.sent += 1
        if self.sent < len(self.pieces):
            assert [(type(effect), bytes(effect.data)) for effect in effects] == [(Keep, data)]
        elif self.whole:
            assert [type(effect) for effect in effects] == [Keep, Commit]
            self.pieces = None
        else:  # padded with zeros that were not announced
            assert isinstance(effects[0], Drop)
            self.pieces = None

    @precondition(lambda self: not self.ended and self.greeted and self.pieces is not None)
    @rule(skipped=st.integers(1, 2**31))
    def wrong_chunk(self, skipped):
        effects = self.say(Chunk(5, self.sent + skipped, b"x"))
        if effects is not None:
            drop, answer = effects
            assert isinstance(drop, Drop)
            assert answer.message.code == "bad_transfer"
            self.pieces = None

    @precondition(lambda self: not self.ended)
    @rule(transfer=st.integers(6, 2**32 - 1))
    def chunk_of_nothing(self, transfer):
        if not self.greeted:
            self.refused(Chunk(transfer, 0, b"x"), "unexpected_message")
        elif (effects := self.say(Chunk(transfer, 0, b"x"))) is not None:
            assert effects == []

    @precondition(lambda self: not self.ended and self.greeted)
    @rule(name=st.text(min_size=1, max_size=20).filter(lambda text: "_" not in text and not text.islower()))
    def unknown(self, name):
        effects = self.say(msgpack.packb({"type": name, "more": 1}))
        assert effects is None or effects == []

    @precondition(lambda self: not self.ended)
    @rule(garbage=st.binary(min_size=1, max_size=30).filter(lambda data: data[0] & 0xF0 != 0x80 and data[0] != 1))
    def garbage(self, garbage):
        if garbage[0] not in (0xDE, 0xDF):
            self.refused(garbage, "bad_frame")

    @precondition(lambda self: not self.ended)
    @rule()
    def text(self):
        self.refused("text", "bad_frame")

    @rule()
    @precondition(lambda self: self.ended)
    def connect_again(self):
        self.connect()

    @invariant()
    def the_session_remembers_the_upload_the_client_means(self):
        if not self.ended:
            assert (self.session._upload is not None) == (self.pieces is not None)


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
