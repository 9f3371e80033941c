"""An input is named by what is in it, and looked at without reading it."""

import os

import pytest
from fibrovol.errors import InputError
from fibrovol.files import sha256_file
from fibrovol.provenance import (
    content_sha256,
    input_state,
    software_versions,
)


def _folder(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_a_file_is_its_own_hash(tmp_path):
    file = _folder(tmp_path, a="x") / "a"
    state = input_state(file)
    assert state.files == (file,)
    assert content_sha256(state) == sha256_file(file)


def test_a_folder_is_the_same_wherever_it_lies_and_whatever_its_names(tmp_path):
    one = _folder(tmp_path / "one", a="1", sub__b="2")
    two = _folder(tmp_path / "two", z="2", y="1")
    assert content_sha256(input_state(one)) == content_sha256(input_state(two))
    assert input_state(one).names == ("a", "sub/b")
    assert input_state(one).stat_sha256 != input_state(two).stat_sha256


def test_a_change_is_seen_without_reading(tmp_path):
    folder = _folder(tmp_path, a="1", b="2")
    before = input_state(folder)
    assert input_state(folder) == before
    os.utime(folder / "a", ns=(1, 1))
    touched = input_state(folder)
    assert touched.stat_sha256 != before.stat_sha256
    assert content_sha256(touched) == content_sha256(before)
    (folder / "c").write_text("3", encoding="utf-8")
    assert content_sha256(input_state(folder)) != content_sha256(before)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        input_state(tmp_path / "gone")
    assert caught.value.code == "input_missing"
    state = input_state(_folder(tmp_path, a="1") / "a")
    (tmp_path / "a").unlink()
    with pytest.raises(InputError) as caught:
        content_sha256(state)
    assert caught.value.code == "input_missing"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        input_state(tmp_path / "pipe")
    assert input_state(tmp_path).names == ()


def test_a_link_in_a_folder_does_not_lead_out_of_it(tmp_path):
    outside = _folder(tmp_path / "outside", secret="x")
    folder = _folder(tmp_path / "in", a="1")
    try:
        (folder / "link").symlink_to(outside, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    assert input_state(folder).names == ("a",)


def test_versions_name_what_can_change_a_number():
    versions = software_versions()
    assert versions["numpy"][0].isdigit()
    assert versions["fibrovol"] != "unknown"
    assert software_versions(["no-such-library"])["no-such-library"] == "not installed"
