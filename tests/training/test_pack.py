"""The pack: what goes in comes out, below the size that was asked for; what is no pack is refused."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="packs hold start weights, which need torch")

from reid_tracker.errors import InputError, ModelError  # noqa: E402
from reid_tracker.training.backbones import make_backbone  # noqa: E402
from reid_tracker.training.data import PeopleSet, read_people  # noqa: E402
from reid_tracker.training.pack import Pack, PackedSet, write_pack  # noqa: E402


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> PeopleSet:
    """Twelve smooth pictures, one of them larger than the training size."""
    folder = tmp_path_factory.mktemp("set")
    ramp = np.linspace(0, 150, 64)[:, None, None] + np.linspace(0, 60, 32)[None, :, None]
    grain = np.random.default_rng(0).normal(0, 4, (12, 64, 32, 3))
    for number in range(12):
        picture = np.clip(ramp + np.array([number * 5, 20, 40]) + grain[number], 0, 255).astype(np.uint8)
        if number == 0:
            picture = cv2.resize(picture, (128, 256))
        cv2.imwrite(str(folder / f"{1 + number // 3:04d}_c{1 + number % 3}_{number}.png"), picture)
    return read_people(folder, "tiny")


def test_what_goes_in_comes_out(people, tmp_path):
    vectors = np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    file = tmp_path / "a.pack"
    assert write_pack(file, [PackedSet(people, vectors)], (64, 32), {}, 10**6) == 90
    pack = Pack(file)
    found = pack.people("tiny")
    assert found.persons.tolist() == people.persons.tolist()
    assert found.cameras.tolist() == people.cameras.tolist()
    pixels, readable = pack.decode("tiny", (64, 32))
    assert readable.all()
    whole = cv2.imread(str(people.paths[5]))
    assert np.abs(pixels[5].astype(int) - whole).mean() < 5
    assert (pack.teacher("tiny") * vectors).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(np.linalg.norm(pack.teacher("tiny"), axis=1), 1, atol=1e-6)
    assert pack.decode("tiny", (128, 64))[0].shape == (12, 128, 64, 3)


def test_quality_gives_way_to_the_size_that_is_allowed(people, tmp_path):
    roomy, tight = tmp_path / "roomy.pack", tmp_path / "tight.pack"
    best = write_pack(roomy, [PackedSet(people, None)], (64, 32), {}, 10**6)
    size = sum(info.file_size for info in zipfile.ZipFile(roomy).infolist() if info.filename.endswith(".bin"))
    quality = write_pack(tight, [PackedSet(people, None)], (64, 32), {}, 66_200 + int(0.6 * size))
    assert quality < best
    assert tight.stat().st_size < roomy.stat().st_size
    assert Pack(tight).teacher("tiny") is None
    with pytest.raises(InputError, match="lowest quality"):
        write_pack(tmp_path / "none.pack", [PackedSet(people, None)], (64, 32), {}, 66_000)
    assert not (tmp_path / "none.pack").exists()


def test_start_weights_travel_in_half_precision_and_strictly(people, tmp_path):
    torch.manual_seed(0)
    backbone, _ = make_backbone("efficientnet_lite0")
    file = tmp_path / "a.pack"
    write_pack(file, [PackedSet(people, None)], (64, 32), {"efficientnet_lite0": backbone}, 10**8)
    other, _ = make_backbone("efficientnet_lite0")
    Pack(file).start(other, "efficientnet_lite0")
    for name, value in backbone.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    with pytest.raises(ModelError, match="efficientnet_lite2"):
        Pack(file).start(make_backbone("efficientnet_lite2")[0], "efficientnet_lite2")


def test_what_is_no_pack_is_refused(people, tmp_path):
    (tmp_path / "text.pack").write_text("hello")
    for name in ("text.pack", "gone.pack"):
        with pytest.raises(InputError, match=name):
            Pack(tmp_path / name)
    write_pack(tmp_path / "a.pack", [PackedSet(people, None)], (64, 32), {}, 10**6)
    with pytest.raises(InputError, match="it holds tiny"):
        Pack(tmp_path / "a.pack").people("huge")


def test_a_picture_that_does_not_decode_is_named(tmp_path: Path):
    (tmp_path / "0001_c1_0.jpg").write_bytes(b"\xff\xd8 cut short")
    with pytest.raises(InputError, match="0001_c1_0"):
        write_pack(tmp_path / "a.pack", [PackedSet(read_people(tmp_path), None)], (64, 32), {}, 10**6)
