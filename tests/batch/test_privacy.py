"""What a header says about the person does not get into a sentence."""

from pathlib import Path

import pytest
from fibrovol.batch.privacy import Scrubber
from fibrovol.imaging.readers.identity import identifiers
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


@pytest.fixture
def dicom_file(tmp_path):
    header = Dataset()
    header.PatientName = "Hong^Gildong"
    header.PatientID = "H-4711"
    header.PatientBirthDate = "19500102"
    header.AccessionNumber = "1"
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = "1.2.3"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    folder = tmp_path / "Hong Gildong 1950"
    folder.mkdir()
    path = folder / "IM1"
    header.save_as(path, enforce_file_format=True)
    return path


def test_the_header_gives_what_must_not_be_said(dicom_file):
    found = identifiers(dicom_file.parent)
    assert {"Hong^Gildong", "Hong", "Gildong", "H-4711", "19500102"} <= set(found)
    assert "1" not in found  # a value that short would blank out half of every sentence


def test_a_sentence_is_freed_of_it(dicom_file):
    scrub = Scrubber(dicom_file.parent, identifiers(dicom_file.parent))
    text = scrub(f"cannot read {dicom_file.as_posix()}: name GILDONG, id h-4711 of hong^gildong")
    assert text == "cannot read [input]/IM1: name [removed], id [removed] of [removed]"


@pytest.mark.parametrize("content", [b"", b"not DICOM", b"\0" * 128 + b"DICM" + b"\xff" * 64])
def test_other_and_damaged_files_have_nothing_to_remove(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert identifiers(tmp_path) == ()
    assert identifiers(tmp_path / "missing") == ()


def test_the_root_of_the_file_system_is_not_replaced_everywhere():
    assert Scrubber(Path("/"))("a/b") == "a/b"
