"""A DICOMweb server: what it has of a patient, whole series from it, objects to it.

Answers are never taken on trust: a server may cap a list or break off a series and still say 200.
What came is counted against what the server states, and what was sent is read back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ..errors import ConfigError, FibrovolError, InputError
from ..files import writing
from .dicomweb_session import TOKEN_VARIABLE, connect, not_complete, truncated

if TYPE_CHECKING:
    from pydicom import Dataset

_PATIENT_ID, _STUDY_UID, _SERIES_UID = "00100020", "0020000D", "0020000E"
_STUDY_DATE = "00080020"
_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2099, 12, 31)
_MODALITY, _N_SERIES, _N_INSTANCES = "00080060", "00201206", "00201209"

_EMPTY_ITEM_BYTES = 8

_ACCEPTED: tuple[Any, ...] = (
    None,
    (("application/dicom", "1.2.840.10008.1.2.1"),),
    (("application/dicom", "*"),),
)
"""What is asked for, one after the other: a server may answer the plain request with 406 (Azure),
and another the one with a transfer syntax with 400 (Orthanc 1.7) or 500. Each file states which
transfer syntax came."""
_OTHER_ACCEPTED = (400, 406, 415, 500)


class SavedSeries(NamedTuple):
    """A series that came whole."""

    patient_id: str
    size_bytes: int


class DicomWeb:
    """A server.

    Args:
        url: the root of its services, such as ``https://pacs.example.org/dicom-web``.

    Raises:
        ConfigError: no such address, or one with a name and password in it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                "bad_config",
                "This is not the address of a DICOMweb server",
                found=parts.scheme or "no http:// or https://",
                do="give the root of its services, such as https://host/dicom-web",
            )
        if "@" in parts.netloc:
            raise ConfigError(
                "bad_config",
                "The address contains a name or password",
                do=f"put them in ~/.netrc, or a token in the variable {TOKEN_VARIABLE}",
            )
        self.url = url.rstrip("/")
        self._client = connect(self.url)

    def studies_of(self, patient_id: str) -> list[str]:
        """StudyInstanceUIDs of a patient.

        A server may cap its answer and say so nowhere. Therefore the list is asked for once more,
        in two halves by date: where these bring more, it is put together from shorter and shorter
        times until each answer is below the cap.

        Raises:
            InputError: the server cannot be asked, or its answer stays cut short.
        """
        found = self._studies(patient_id)
        if not found:
            return []
        days = sorted(day for day in found.values() if day)
        middle = _between(days)
        halves = self._studies(patient_id, _FIRST_DAY, middle) | self._studies(
            patient_id, middle + timedelta(1), _LAST_DAY
        )
        if set(halves) <= set(found):
            return sorted(found)
        if len(days) < len(found):
            raise truncated(f"{len(found)} studies for one patient, some without a date")
        every = self._studies_below(patient_id, _FIRST_DAY, _LAST_DAY, len(found))
        return sorted(found | halves | every)

    def _studies_below(self, patient_id: str, first: date, last: date, cap: int) -> dict[str, str]:
        """Every study from one day to another, where no answer has ``cap`` studies or more."""
        found = self._studies(patient_id, first, last)
        if len(found) < cap:
            return found
        if first == last:
            raise truncated(f"{len(found)} studies for one patient on one day")
        middle = first + (last - first) // 2
        return self._studies_below(patient_id, first, middle, cap) | self._studies_below(
            patient_id, middle + timedelta(1), last, cap
        )

    def _studies(
        self, patient_id: str, first: date | None = None, last: date | None = None
    ) -> dict[str, str]:
        """A patient's studies as the server answers, each with its date, "" where it has none."""
        filters = {"PatientID": patient_id}
        if first and last:
            filters["StudyDate"] = f"{first:%Y%m%d}-{last:%Y%m%d}"
        with self._asking():
            found = self._client.search_for_studies(search_filters=filters)
        if not all(_text(study, _PATIENT_ID) for study in found):
            raise _no_dicomweb("a study without a PatientID")
        return {
            _uid(study, _STUDY_UID): _text(study, _STUDY_DATE)
            for study in found
            if _text(study, _PATIENT_ID) == patient_id
        }

    def patients_of(self, study_uid: str) -> set[str]:
        """PatientIDs under which the server files a study, empty where it has none."""
        with self._asking():
            found = self._client.search_for_studies(search_filters={"StudyInstanceUID": study_uid})
        return {_text(study, _PATIENT_ID) for study in found}

    def series_of(self, study_uid: str, modalities: tuple[str, ...]) -> list[tuple[str, int]]:
        """SeriesInstanceUID and number of images of a study's series.

        Raises:
            InputError: as :meth:`studies_of`, or the server states no number of images.
        """
        with self._asking(listed=True):
            studies = self._client.search_for_studies(
                search_filters={"StudyInstanceUID": study_uid},
                fields=["NumberOfStudyRelatedSeries"],
            )
            found = self._client.search_for_series(
                study_uid, fields=["NumberOfSeriesRelatedInstances"]
            )
        # filed under two patients, it is there twice
        stated = sum(_number(study, _N_SERIES) for study in studies)
        if (studies or found) and stated < 1:
            raise truncated("a study whose number of series the server does not state")
        if len(found) < stated:
            raise truncated(f"{len(found)} of {stated} series of a study")
        series = []
        for one in found:
            if _text(one, _MODALITY) in modalities:
                count = _number(one, _N_INSTANCES)
                if count < 1:
                    raise truncated("a series whose number of images the server does not state")
                series.append((_uid(one, _SERIES_UID), count))
        return sorted(series)

    def images_of(self, study_uid: str, series_uid: str) -> Iterator[Dataset]:
        """Every image of a series, as it is read from the server.

        Raises:
            InputError: the server cannot be asked or breaks off.
        """
        import requests  # noqa: PLC0415 - start-up time

        with self._asking(listed=True):
            for accepted in _ACCEPTED:
                began = False
                try:
                    images = self._client.iter_series(study_uid, series_uid, media_types=accepted)
                    for image in images:
                        began = True
                        yield image
                    return
                except requests.HTTPError as error:
                    status = error.response.status_code if error.response is not None else 0
                    if began or status not in _OTHER_ACCEPTED or accepted is _ACCEPTED[-1]:
                        raise

    def save_series(
        self,
        uids: tuple[str, str],
        count: int,
        folder: Path,
        *,
        patient_id: str = "",
        limit_bytes: int = 1 << 62,
    ) -> SavedSeries:
        """Write every image of a series, or refuse it.

        Args:
            uids: of study and series.
            count: how many images the server stated.
            folder: made where it is missing; a file per image. What was refused is left in it.
            patient_id: whose images these must be; of one patient, whoever it is, if not given.
            limit_bytes: refuse more than this.

        Raises:
            InputError: ``input_changed``: not all came, or images of another patient;
                ``unreadable_file``: more than the limit; as :meth:`images_of`.
            OutputError: the folder cannot be written.
        """
        seen: dict[str, int] = {}
        size_bytes = 0
        with writing():
            folder.mkdir(parents=True, exist_ok=True)
        for image in self.images_of(*uids):
            if not has_its_pixels(image):
                raise not_complete("an image that breaks off")
            uid = str(image.get("SOPInstanceUID"))
            if not is_uid(uid):
                raise InputError(
                    "input_changed", "An image's UID is not valid", do="have the archive corrected"
                )
            own = str(image.get("PatientID", "")).strip()
            if not seen and not patient_id:
                patient_id = own
            number = seen.setdefault(uid, len(seen) + 1)
            if own != patient_id:
                raise another_patient()
            if (str(image.get("StudyInstanceUID")), str(image.get("SeriesInstanceUID"))) != uids:
                raise not_complete("images of another series")
            # a number, not the UID: with those of study and series, a path on Windows were too long
            path = folder / f"{number:05d}.dcm"
            with writing():
                image.save_as(path, enforce_file_format=True)
            size_bytes += path.stat().st_size
            if size_bytes > limit_bytes:
                raise too_large(limit_bytes)
        if len(seen) != count:
            raise not_complete(f"{len(seen)} of {count} images")
        return SavedSeries(patient_id, size_bytes)

    def store(self, dataset: Dataset) -> str:
        """Send one object and read it back.

        Returns:
            "" if the server now has it as it was sent, else why not.
        """
        import requests  # noqa: PLC0415 - start-up time

        uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
        try:
            # one at a time: of several, a server may keep some and answer with an error
            answer = self._client.store_instances([dataset])
            if answer.get("FailedSOPSequence"):
                return "the server refused it"
            held = self._client.retrieve_instance(*uids)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "?"
            return f"the server answered {status}"
        except (requests.RequestException, OSError) as error:
            return f"the connection broke off ({type(error).__name__})"
        return "" if held == dataset else "the server has another object under this UID"

    @contextmanager
    def _asking(self, *, listed: bool = False) -> Iterator[None]:
        """Whatever the client raises becomes one of our sentences, without the query's address.

        Args:
            listed: whether the server should know what it is asked for.
        """
        import requests  # noqa: PLC0415 - start-up time

        try:
            yield
        except FibrovolError:
            raise
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (401, 403):
                raise InputError(
                    "unreadable_file",
                    "The DICOMweb server refused",
                    found=f"status {status}",
                    do=f"check the token in {TOKEN_VARIABLE}, or the name and password in ~/.netrc",
                ) from None
            if listed and status == 404:
                raise InputError(
                    "input_missing",
                    "The server does not give what it lists",
                    found="status 404",
                    do="have the archive check the study: it may be filed under two patients",
                ) from None
            raise _unreachable(f"status {status}") from None
        except requests.JSONDecodeError:
            raise _no_dicomweb("no JSON, such as a page to log in") from None
        except (requests.RequestException, OSError, ValueError, EOFError) as error:
            raise _unreachable(type(error).__name__) from None


def _unreachable(found: str) -> InputError:
    return InputError(
        "storage_unreachable",
        "The DICOMweb server could not be reached, or disconnected",
        found=found,
        do="check its address and the network, then run the same command again: whole series "
        "are kept",
    )


def _no_dicomweb(found: str) -> InputError:
    return InputError(
        "storage_unreachable",
        "What answers is no DICOMweb server",
        found=found,
        do="give the root of its DICOMweb services, such as https://host/dicom-web",
    )


def another_patient() -> InputError:
    """The refusal of a series with images of somebody else."""
    return InputError(
        "input_changed",
        "The server has images of another patient in this series",
        found="another PatientID than that of the series",
        do="have the study corrected in the archive; nothing of the series was kept",
    )


def too_large(limit_bytes: int) -> InputError:
    """The refusal of more than may be fetched."""
    return InputError(
        "unreadable_file",
        "The input is larger than may be fetched for one case",
        found=f"more than {limit_bytes / 2**30:.3g} GiB at this address",
        do="give the address of one series, or raise run.download_limit_gib",
    )


def has_its_pixels(image: Dataset) -> bool:
    """Whether an image has as many bytes of pixels as its header says.

    pydicom reads a file that was cut off without an error.
    """
    from pydicom.pixels.utils import get_expected_length  # noqa: PLC0415 - start-up time

    if "Rows" not in image:
        return False
    pixels = image.get("PixelData", b"")
    syntax = image.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not syntax.is_deflated:
        return len(pixels) > _EMPTY_ITEM_BYTES
    try:
        return len(pixels) >= get_expected_length(image)
    except AttributeError:  # a header that lacks what reading it needs is said when it is read
        return bool(pixels)


def is_uid(text: str) -> bool:
    """Whether a text is a DICOM UID; other texts must not become folders' names."""
    return re.fullmatch(r"[0-9.]{1,64}", text) is not None and ".." not in text


def _between(days: list[str]) -> date:
    """A day with as many studies up to it as after it, about; today if no study has a date."""
    try:
        first, middle, last = (date.fromisoformat(days[at]) for at in (0, len(days) // 2, -1))
    except (ValueError, IndexError):
        return date.today()
    return middle - timedelta(1) if first < middle == last else middle


def _uid(entry: dict[str, Any], tag: str) -> str:
    uid = _text(entry, tag)
    if not is_uid(uid):
        raise _unreachable("a UID that is not valid")
    return uid


def _text(entry: dict[str, Any], tag: str) -> str:
    try:
        values = entry.get(tag, {}).get("Value") or [""]
        return str(values[0]).strip()
    except (AttributeError, KeyError, TypeError):
        raise _no_dicomweb("JSON of another form") from None


def _number(entry: dict[str, Any], tag: str) -> int:
    text = _text(entry, tag)
    return int(text) if text.isdigit() else 0
