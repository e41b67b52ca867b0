"""Addresses: secrets reach the network library and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.errors import ConfigError
from reid_tracker.live import Address, without_secrets


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("rtsp://cam/stream", "rtsp://cam/stream"),
        ("rtsp://user:pass@cam:554/stream", "rtsp://***@cam:554/stream"),
        ("rtsp://user:p@ss@cam/stream", "rtsp://***@cam/stream"),  # an @ in the password
        ("rtsp://user:pa/ss@cam/stream", "rtsp://***@cam/stream"),  # a slash, which ought to be coded
        ("rtsp://cam:554/a@b", "rtsp://cam:554/a@b"),  # no user at all
        ("http://cam/mjpeg?user=me&pwd=secret&size=1", "http://cam/mjpeg?user=***&pwd=***&size=1"),
        ("http://cam/video?access_token=secret&size=1", "http://cam/video?access_token=***&size=1"),
        ("http://cam/video.cgi?loginuse=me&loginpas=secret", "http://cam/video.cgi?loginuse=***&loginpas=***"),
        ("postgresql://db/site?sslmode=require&sslpassword=x", "postgresql://db/site?sslmode=require&sslpassword=***"),
        ("rtsp://cam/user=me_password=se_cret_channel=1_stream=0.sdp", "rtsp://cam/user=***_channel=1_stream=0.sdp"),
        ("rtsp://cam/user=me&password=secret&channel=1", "rtsp://cam/user=***&password=***&channel=1"),
        ("rtsp://cam/live?channel=1&subtype=0", "rtsp://cam/live?channel=1&subtype=0"),
        ("${GATE}", "${GATE}"),
        ("film.mp4", "film.mp4"),
    ],
)
def test_what_is_shown_holds_no_secret(written: str, shown: str) -> None:
    assert str(Address(written)) == shown
    assert repr(Address(written)) == f"Address({shown!r})"


def test_secrets_are_taken_out_of_whole_messages() -> None:
    text = "cannot open rtsp://a:b@one/x and rtsp://c:d@two/y?token=z"
    assert without_secrets(text) == "cannot open rtsp://***@one/x and rtsp://***@two/y?token=***"


def test_variables_are_filled_in_and_coded() -> None:
    address = Address("rtsp://${NAME}:${WORD}@cam/live?x=${X}")
    assert address.reveal({"NAME": "me", "WORD": "a/b@c:#", "X": "1"}) == "rtsp://me:a%2Fb%40c%3A%23@cam/live?x=1"


@pytest.mark.parametrize(
    ("written", "revealed"),
    [
        ("rtsp://me:${WORD}@cam/", "rtsp://me:50%2541b%2523@cam/"),  # a % that begins no code
        ("rtsp://me:a%2Fb${WORD}c@d@cam/", "rtsp://me:a%2Fb50%2541b%2523c%40d@cam/"),  # beside what is written in code
        ("rtsp://${WORD}@cam/", "rtsp://50%2541b%2523@cam/"),
    ],
)
def test_what_a_variable_holds_is_meant_as_it_is(written: str, revealed: str) -> None:
    """A password with a % and two hex digits was taken to be coded already, and the camera refused it."""
    assert Address(written).reveal({"WORD": "50%41b%23"}) == revealed


def test_what_is_coded_already_stays() -> None:
    assert Address("rtsp://me:a%2Fb@cam/live").reveal({}) == "rtsp://me:a%2Fb@cam/live"


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="GATE_PASSWORD"):
        Address("rtsp://me:${GATE_PASSWORD}@cam/").reveal({})


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="%/?#"), min_size=4))
def test_no_password_survives(password: str) -> None:
    shown = str(Address(f"rtsp://user:{password}@cam/stream"))
    assert shown == "rtsp://***@cam/stream"
