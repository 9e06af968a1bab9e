"""Your own images in folders: classes, sizes, colours, splits, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from tests.data.own import hash_of, photos, picture
from tinyres import data


def test_classes_are_folders_and_values_go_from_0_to_1(tmp_path):
    train, test = data.folder(photos(tmp_path / "photos"))
    assert (len(train), len(test)) == (13, 3)
    assert train.inputs.shape == (13, 3, 8, 8)
    assert train.inputs.transpose(0, 2, 3, 1).flags.c_contiguous
    assert train.inputs.dtype == np.float32
    assert (train.targets.dtype, train.classes, train.class_names) == (np.int64, 2, ("cats", "dogs"))
    assert (train.name, test.name) == ("photos/train", "photos/test")
    whole = data.folder(tmp_path / "photos", labelled=False).train
    for i, image in enumerate(whole.inputs):
        label, k = ("cats", i) if i < 10 else ("dogs", i - 10)
        pixels = np.random.default_rng(hash_of(label, k)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        np.testing.assert_array_equal(image, pixels.transpose(2, 0, 1).astype(np.float32) / 255)


def test_the_split_is_stratified_and_the_seed_decides_it(tmp_path):
    root = photos(tmp_path, [("a", 20), ("b", 5), ("c", 2)])
    one, again, other = (data.folder(root, seed=seed) for seed in (1, 1, 2))
    assert [int((one.test.targets == c).sum()) for c in range(3)] == [4, 1, 1]
    assert [int((one.train.targets == c).sum()) for c in range(3)] == [16, 4, 1]
    np.testing.assert_array_equal(one.train.inputs, again.train.inputs)
    assert not np.array_equal(one.train.inputs, other.train.inputs)
    rows = {image.tobytes() for part in one for image in part.inputs}
    assert len(rows) == 27
    assert len(data.folder(root, test_fraction=0.5).test) == 10 + 2 + 1


def test_what_was_found_is_said(tmp_path):
    root = photos(tmp_path / "photos")
    (root / "cats" / "notes.txt").write_text("no image")
    picture(root / "cover.png")
    said = data.folder(root, seed=7).train.found
    assert said == (
        "photos: 16 images, 2 classes: cats 10, dogs 6; 8x8 pixels; colour, 3 channels; left out: 1 image "
        "beside the classes' folders; left out: 1 file, neither PNG nor JPEG; 13 to train, 3 to test (20% of each "
        "class held back, seed 7)"
    )
    many = photos(tmp_path / "many", [(f"class {i:02}", 2 + i % 3) for i in range(20)])
    assert "20 classes of 2 to 4 samples" in data.folder(many).test.found


@pytest.mark.parametrize("test", ["test", "val", "Validation"])
def test_folders_train_and_test(tmp_path, test):
    photos(tmp_path / "train", [("a", 3), ("b", 2)])
    photos(tmp_path / test, [("a", 1), ("b", 1)])
    train, held = data.folder(tmp_path)
    assert (train.targets.tolist(), held.targets.tolist()) == ([0, 0, 0, 1, 1], [0, 1])
    assert "5 to train, 2 to test (as they came)" in train.found


def test_of_test_and_val_the_first_counts_and_it_is_said(tmp_path):
    for part, n in (("train", 4), ("val", 3), ("test", 2)):
        photos(tmp_path / part, [("a", n), ("b", n)])
    train, test = data.folder(tmp_path)
    assert (len(train), len(test)) == (8, 4)
    assert "left out: val" in train.found


def test_only_train_is_split(tmp_path):
    photos(tmp_path / "train", [("a", 5), ("b", 5)])
    train, test = data.folder(tmp_path)
    assert (len(train), len(test), train.class_names) == (8, 2, ("a", "b"))


def test_grey_stays_grey_and_one_colour_image_makes_all_colour(tmp_path):
    root = photos(tmp_path, mode="L")
    assert data.folder(root).train.inputs.shape[1] == 1
    assert "grey, 1 channel" in data.folder(root).train.found
    assert data.folder(root, channels=3).train.inputs.shape[1] == 3
    picture(root / "dogs" / "colour.png", mode="RGB")
    mixed = data.folder(root, labelled=False).train.inputs
    assert mixed.shape[1] == 3
    assert (mixed[0, 0] == mixed[0, 2]).all()
    assert data.folder(root, channels=1).train.inputs.shape[1] == 1


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "1", "I;16", "CMYK"])
def test_every_mode_of_pixels(tmp_path, mode):
    ending = ".jpg" if mode == "CMYK" else ".png"
    for label in "ab":
        for i in range(2):
            path = tmp_path / label / f"{i}{ending}"
            path.parent.mkdir(exist_ok=True)
            if mode == "I;16":
                Image.fromarray(np.full((8, 8), 256 * 100 + 7, np.uint16)).save(path)
            else:
                Image.new("RGB", (8, 8), (100, 100, 100)).convert(mode).save(path)
    found = data.folder(tmp_path, labelled=False).train
    assert found.inputs.shape[1] == (1 if mode in ("LA", "1", "I;16") else 3)
    if mode != "1":
        np.testing.assert_allclose(found.inputs, 100 / 255, atol=0.02)


def test_sizes_that_differ_need_one_to_be_brought_to(tmp_path):
    photos(tmp_path / "p", size=(8, 6))
    picture(tmp_path / "p" / "cats" / "wide.png", size=(20, 10))
    with pytest.raises(ValueError, match=r"2 sizes, 8x6 \(16 of them\), 20x10 \(1 of them\): .* --image-size 32"):
        data.folder(tmp_path / "p")
    train, test = data.folder(tmp_path / "p", image_size=5)
    assert train.inputs.shape[1:] == test.inputs.shape[1:] == (3, 5, 5)
    assert "8x6 to 20x10 pixels, brought to 5x5" in train.found


def test_one_size_that_is_not_square_is_kept(tmp_path):
    assert data.folder(photos(tmp_path, size=(8, 6))).train.inputs.shape[1:] == (3, 6, 8)


def test_an_image_is_scaled_to_cover_the_square_and_its_middle_is_cut_out(tmp_path):
    for label in "ab":
        for i in range(2):
            (tmp_path / label).mkdir(exist_ok=True)
            wide = np.zeros((10, 30, 3), np.uint8)
            wide[:, 10:20] = 255
            Image.fromarray(wide).save(tmp_path / label / f"{i}.png")
    assert (data.folder(tmp_path, image_size=10).train.inputs == 1).all()


def test_photographs_are_turned_as_the_camera_noted(tmp_path):
    for label in "ab":
        for i in range(2):
            path = tmp_path / label / f"{i}.jpg"
            path.parent.mkdir(exist_ok=True)
            exif = Image.Exif()
            exif[0x0112] = 6  # to be turned by 90 degrees to the right
            half = np.zeros((8, 16, 3), np.uint8)
            half[:, :8] = 255
            Image.fromarray(half).save(path, exif=exif, quality=95)
    inputs = data.folder(tmp_path).train.inputs
    assert inputs.shape[1:] == (3, 16, 8)
    assert inputs[0, 0, 2, 4] > 0.9  # what was left is now above
    assert inputs[0, 0, 13, 4] < 0.1


def test_hidden_files_and_folders_are_skipped_and_deeper_folders_are_not(tmp_path):
    root = photos(tmp_path)
    picture(root / ".thumbnails" / "a.png")
    picture(root / "cats" / ".hidden.png")
    (root / "cats" / "._00.png").write_bytes(b"no image")
    picture(root / "cats" / "more" / "deep.JPEG")
    train, test = data.folder(root)
    assert len(train) + len(test) == 17
    assert train.class_names == ("cats", "dogs")


def test_a_link_to_where_it_is_ends(tmp_path):
    root = photos(tmp_path)
    (root / "cats" / "again").symlink_to(root / "cats", target_is_directory=True)
    assert sum(map(len, data.folder(root))) == 16


def test_all_unreadable_files_are_named(tmp_path):
    root = photos(tmp_path)
    whole = (root / "cats" / "00.png").read_bytes()
    (root / "cats" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "cats" / "empty.jpg").write_bytes(b"")
    (root / "dogs" / "text.png").write_text("hello")
    with pytest.raises(ValueError, match="images cannot be read") as error:
        data.folder(root)
    assert "2 of 19" in str(error.value)
    for name in ("cats/empty.jpg", "dogs/text.png"):
        assert name in str(error.value)
        (root / name).unlink()
    (root / "dogs" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"2 of 18 images cannot be read: cats/cut.png \(.*\), dogs/cut.png"):
        data.folder(root)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([("cats", 5)], r"at least two classes, found only one, 'cats'; put the images of each class into a folder"),
        ([("a", 5), ("b", 1), ("c", 1)], "each class needs 2 samples, .* too few: b, c"),
    ],
)
def test_classes_that_nothing_can_be_learned_of(tmp_path, counts, said):
    with pytest.raises(ValueError, match=said):
        data.folder(photos(tmp_path, counts))
    assert len(data.folder(tmp_path, labelled=False).train) == sum(n for _, n in counts)


def test_other_refusals(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="no PNG or JPEG file in it"):
        data.folder(empty)
    picture(empty / "a.png")
    with pytest.raises(ValueError, match="1 image and no folders: a classifier needs a folder of images"):
        data.folder(empty)
    (empty / "birds").mkdir()
    with pytest.raises(ValueError, match="no PNG or JPEG file in the folders of these classes: birds"):
        data.folder(empty)
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        data.folder(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError, match="it is a file"):
        data.folder(empty / "a.png")
    photos(tmp_path / "parts" / "train", [("a", 2), ("b", 2)])
    photos(tmp_path / "parts" / "test", [("a", 2), ("c", 2)])
    with pytest.raises(ValueError, match="must have the same classes; only one has: b, c"):
        data.folder(tmp_path / "parts")
    for options in ({"image_size": 0}, {"channels": 2}, {"test_fraction": 1.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            data.folder(tmp_path / "parts", **options)


def test_images_without_classes(tmp_path):
    for i in range(3):
        picture(tmp_path / f"{i}.png", i)
    train, test = data.folder(tmp_path, labelled=False)
    assert (len(train), len(test), train.classes) == (3, 0, None)
    assert train.found.startswith(f"{tmp_path.name}: 3 images; 8x8 pixels; colour, 3 channels")


def test_the_fingerprint_is_that_of_names_and_contents(tmp_path):
    root = photos(tmp_path)
    first = data.folder(root).train.fingerprint
    assert data.folder(root, seed=3, image_size=4).test.fingerprint == first != ""
    (root / "cats" / "00.png").rename(root / "cats" / "renamed.png")
    second = data.folder(root).train.fingerprint
    picture(root / "cats" / "renamed.png", 999)
    assert len({first, second, data.folder(root).train.fingerprint}) == 3


def test_by_path(tmp_path, monkeypatch):
    root = photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    assert data.named("photos") == str(root)
    assert data.is_own(data.named("photos"))
    assert not data.is_own("digits")
    assert len(data.load("photos", seed=1).train) == 13
    with pytest.raises(ValueError, match="no data set is called 'photo'; did you mean photos"):
        data.load("photo")
    with pytest.raises(ValueError, match="did you mean digits"):
        data.load("digit")
    (tmp_path / "digits").mkdir()
    assert data.named("digits") == "digits"
    assert data.named("./digits") == str(tmp_path / "digits")
