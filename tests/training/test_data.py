"""Folders of people: names to people and cameras, broken files named, ids of several sets kept apart."""

import logging
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.errors import InputError
from reid_tracker.training.data import at_most_per_person, decode_people, join_people, read_people
from reid_tracker.training.protocols import read_protocol


def write(folder: Path, names: list[str], level: int = 100) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((40, 20, 3), level + number, np.uint8))
    return folder


@pytest.mark.parametrize(
    ("name", "person", "camera"),
    [
        ("0002_c1s1_000451_03.jpg", 2, 1),  # Market-1501
        ("-1_c3s2_000001_00.jpg", -1, 3),  # its junk
        ("0000_c6s1_000001_00.jpg", 0, 6),  # its distractors
        ("0001_c2_f0046182.jpg", 1, 2),  # DukeMTMC
        ("0971_c2_04.png", 971, 2),  # CUHK01, renamed
        ("0971002.png", 971, 1),  # as it is
        ("0971003.png", 971, 2),
        ("2_017_1_04.png", 20017, 1),  # CUHK03
        ("0001_c2_1.webp", 1, 2),
        ("0007_c2s1_000451_12.jpg", 7, 2),  # what reid-tracker track --save-crops writes
        ("12_c104_x.jpeg", 12, 104),  # a site with more than nine cameras
    ],
)
def test_names_say_person_and_camera(tmp_path, name, person, camera):
    people = read_people(write(tmp_path, [name]))
    assert people.persons.tolist() == [person]
    assert people.cameras.tolist() == [camera]


def test_malformed_names_are_reported_with_their_path(tmp_path, caplog):
    write(tmp_path, ["0001_c1_0.jpg", "holiday.jpg"])
    (tmp_path / "notes.txt").write_text("not a picture")
    with caplog.at_level(logging.WARNING):
        people = read_people(tmp_path)
    assert [path.name for path in people.malformed] == ["holiday.jpg"]
    assert str(tmp_path / "holiday.jpg") in caplog.text
    assert len(people) == 1


def test_names_that_are_not_utf8_or_longer_than_a_number_are_malformed(tmp_path):
    write(tmp_path, ["0001_c1_0.png"])
    odd = [b"0001_c1_\xe9.png", b"99999999999999999999_c1_0.png", b"1_c99999999999999999999.png"]
    for name in odd:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(b"")
    people = read_people(tmp_path)
    assert len(people) == 1
    assert len(people.malformed) == 3
    decode_people(people, (16, 8), tmp_path / "cache")


def test_a_picture_larger_than_opencv_reads_is_broken(tmp_path, caplog):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    (tmp_path / "0001_c1_0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    assert not decode_people(read_people(tmp_path), (16, 8), tmp_path / "cache")[1].any()
    assert "0001_c1_0.png" in caplog.text


@pytest.mark.parametrize("name", ["0971005.png", "20240101.png", "2_017_3_04.png", "holiday_1.png"])
def test_names_that_only_look_like_a_data_sets_are_malformed(tmp_path, name):
    assert [path.name for path in read_people(write(tmp_path, ["0001_c1_0.png", name])).malformed] == [name]


def test_many_malformed_names_are_counted(tmp_path, caplog):
    read_people(write(tmp_path, ["0001_c1_0.png", *(f"holiday{number}.png" for number in range(50))]))
    assert len(caplog.records) == 21
    assert "and 30 more: left out, its name" in caplog.text


def test_a_broken_picture_is_reported_again_on_the_next_run(tmp_path, caplog):
    folder = write(tmp_path / "set", ["0001_c1_0.png"])
    (folder / "0002_c1_0.png").write_bytes(b"cut short")
    for _ in range(2):
        caplog.clear()
        decode_people(read_people(folder), (16, 8), tmp_path / "cache")
        assert "0002_c1_0.png: left out, it does not decode" in caplog.text


def test_missing_or_useless_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_people(tmp_path / "nowhere")
    with pytest.raises(InputError, match="none of its 1 pictures"):
        read_people(write(tmp_path, ["holiday.jpg"]))


def test_broken_picture_is_reported_and_left_out(tmp_path, caplog):
    folder = write(tmp_path / "set", ["0001_c1_0.jpg", "0001_c2_0.jpg"])
    (folder / "0002_c1_0.jpg").write_bytes(b"\xff\xd8 cut short")
    people = read_people(folder)
    with caplog.at_level(logging.WARNING):
        decoded = decode_people(people, (16, 8), tmp_path / "cache")
    assert decoded[1].tolist() == [True, True, False]
    assert "0002_c1_0.jpg" in caplog.text
    assert len(join_people([people], [decoded]).labels) == 2


def test_decoding_happens_once_and_again_when_a_file_changes(tmp_path):
    folder = write(tmp_path / "set", ["0001_c1_0.png"], level=10)
    first, _ = decode_people(read_people(folder), (16, 8), tmp_path / "cache")
    assert (first == 10).all()
    written = sorted((tmp_path / "cache").iterdir())
    decode_people(read_people(folder), (16, 8), tmp_path / "cache")
    assert sorted((tmp_path / "cache").iterdir()) == written
    cv2.imwrite(str(folder / "0001_c1_0.png"), np.random.default_rng(0).integers(0, 256, (40, 20, 3), np.uint8))
    second, _ = decode_people(read_people(folder), (16, 8), tmp_path / "cache")
    assert not (second == 10).all()


def test_pictures_that_are_read_stay_while_they_are_decoded_anew(tmp_path):
    people = read_people(write(tmp_path / "set", ["0001_c1_0.png"], level=10))
    first, _ = decode_people(people, (16, 8), tmp_path / "cache")
    next((tmp_path / "cache").glob("*.ok.npy")).unlink()
    people.paths[0].write_bytes(b"\0" * people.paths[0].stat().st_size)  # of the same size, so of the same key
    decode_people(people, (16, 8), tmp_path / "cache")
    assert (first == 10).all()


def test_sets_together_keep_their_ids_apart_and_leave_junk_out(tmp_path, caplog):
    first = read_people(write(tmp_path / "a", ["0005_c1_0.png", "0005_c2_0.png", "-1_c1_0.png", "0000_c1_0.png"], 10))
    second = read_people(write(tmp_path / "b", ["0005_c1_0.png", "0009_c1_0.png"], 200))
    decoded = [decode_people(people, (16, 8), tmp_path / "cache") for people in (first, second)]
    teacher = [np.eye(4, dtype=np.float32), np.eye(2, 4, dtype=np.float32)]
    together = join_people([first, second], decoded, teacher)
    assert together.labels.tolist() == [0, 0, 1, 2]
    assert "a: 1 pictures of person 0" in caplog.text
    assert together.sources.tolist() == [0, 0, 1, 1]
    assert together.classes == 3
    assert (together.gather(np.array([3, 0]))[:, 0, 0, 0] == [201, 10]).all()
    np.testing.assert_array_equal(together.teacher, [teacher[0][2], teacher[0][3], teacher[1][0], teacher[1][1]])


def test_thinning_spreads_over_a_persons_files(tmp_path):
    names = [f"0001_c{camera}_{number}.png" for camera in (1, 2) for number in range(5)] + ["0002_c1_0.png"]
    thinned = at_most_per_person(read_people(write(tmp_path, names)), 4)
    assert thinned.persons.tolist() == [1, 1, 1, 1, 2]
    assert set(thinned.cameras[:4].tolist()) == {1, 2}


def test_bank_holds_the_teachers_vectors_of_the_pictures_it_was_asked_about(tmp_path):
    first = read_people(write(tmp_path / "a", ["0001_c1_0.png", "-1_c1_0.png", "0002_c2_0.png"]))
    second = read_people(write(tmp_path / "b", ["0001_c1_0.png"]))
    decoded = [decode_people(people, (16, 8), tmp_path / "cache") for people in (first, second)]
    known = np.eye(3, dtype=np.float32)
    together = join_people([first, second], decoded, [known, None])
    assert np.isnan(together.teacher[2]).all()  # nobody asked the teacher about the second set
    # Files are listed in order of their names, so junk, which stays out, comes first.
    np.testing.assert_array_equal(together.bank, known[1:])
    assert together.bank is together.bank  # made once, it is as large as the set


def msmt17(root: Path) -> Path:
    """MSMT17's layout: lists beside a folder a half, people numbered from 0, the camera inside the name."""
    for half in ("train", "test"):
        for person in ("0000", "0001"):
            names = [f"{person}_000_{camera:02d}_0303morning_0008_0.png" for camera in (1, 14)]
            (root / half).mkdir(parents=True, exist_ok=True)
            write(root / half / person, names)
    lines = [
        f"{person}/{person}_000_{camera}_0303morning_0008_0.png"
        for person in ("0000", "0001")
        for camera in ("01", "14")
    ]
    text = "".join(f"{line} {int(line[:4])}\n" for line in lines)
    (root / "list_train.txt").write_text(text + "holiday.jpg\n")
    (root / "list_query.txt").write_text(f"{lines[0]} 0\n")
    (root / "list_gallery.txt").write_text(text)
    return root


def test_msmt17_is_read_by_its_lists(tmp_path, caplog):
    root = msmt17(tmp_path / "MSMT17_V1")
    with caplog.at_level(logging.WARNING):
        people = read_people(root / "list_train.txt")
    assert people.persons.tolist() == [1, 1, 2, 2]  # person 0 of theirs is no distractor
    assert people.cameras.tolist() == [1, 14, 1, 14]
    assert all(path.is_file() for path in people.paths)
    assert "holiday.jpg" in caplog.text
    ((asking, answering),) = read_protocol("msmt17", tmp_path).trials
    assert (len(asking), len(answering)) == (1, 4)


def test_lists_that_are_of_no_use_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"list_train\.txt"):
        read_people(tmp_path / "list_train.txt")
    (tmp_path / "list_train.txt").write_text("holiday.jpg\n")
    with pytest.raises(InputError, match="no folder train"):
        read_people(tmp_path / "list_train.txt")
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="none of its 1 lines"):
        read_people(tmp_path / "list_train.txt")


def test_a_listed_picture_that_is_missing_is_reported_and_left_out(tmp_path, caplog):
    root = msmt17(tmp_path / "MSMT17_V1")
    (root / "train" / "0001" / "0001_000_14_0303morning_0008_0.png").unlink()
    with caplog.at_level(logging.WARNING):
        _, readable = decode_people(read_people(root / "list_train.txt"), (16, 8), tmp_path / "cache")
    assert readable.tolist() == [True, True, True, False]
    assert "0001_000_14" in caplog.text
