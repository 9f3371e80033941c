"""A PACS that speaks DIMSE only (C-FIND, C-MOVE, C-STORE): the same questions as a DICOMweb server.

Needs pynetdicom (extra ``pacs``). The archive must know our AE title with this machine's address
and port, because C-MOVE makes it send the images here. A status of success proves nothing:
anything but a final 0x0000 is an error, what came is counted against what the server states, and
what was sent is fetched back and compared.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ..errors import ConfigError, InputError, how_to_install
from ..files import writing
from .dicomweb import SavedSeries, another_patient, has_its_pixels, is_uid, too_large
from .dicomweb_session import not_complete, truncated

if TYPE_CHECKING:
    from pydicom import Dataset

OWN_TITLE, OWN_PORT = "FIBROVOL", 11112
_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)
_SECONDS, _CONNECT_SECONDS = 60, 10


class Dimse:
    """A server.

    Args:
        url: ``dimse://CALLED_TITLE@HOST:PORT``, and where the archive knows us under another name
            or port ``?aet=OWN_TITLE&port=OWN_PORT``.

    Raises:
        ConfigError: another form of address, or pynetdicom is not installed.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        more = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            port = parts.port
            self.own_port = int(more.get("port", OWN_PORT))
        except ValueError:
            port = None
        self.own_title = more.get("aet", OWN_TITLE)
        self.title = parts.username or ""
        titles = all(_TITLE.fullmatch(title) for title in (self.title, self.own_title))
        if parts.scheme != "dimse" or not parts.hostname or not port or not titles:
            raise ConfigError(
                "bad_config",
                "This is not the address of a DIMSE server",
                found="another form",
                do="write dimse://AE_TITLE@HOST:PORT, and ?aet=OWN_TITLE&port=OWN_PORT if yours "
                f"are not {OWN_TITLE} and {OWN_PORT}",
            )
        self.host, self.port = parts.hostname, port
        self.url = f"dimse://{self.title}@{self.host}:{self.port}"
        try:
            import pynetdicom  # noqa: PLC0415 - optional
        except ImportError:
            raise ConfigError(
                "storage_not_installed",
                "pynetdicom is not installed",
                do=how_to_install("pacs"),
            ) from None
        # it logs what is asked for and found, which contains patients' numbers
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        del pynetdicom

    def studies_of(self, patient_id: str) -> list[str]:
        """StudyInstanceUIDs of a patient."""
        found = self._find("STUDY", PatientID=patient_id, StudyInstanceUID="")
        own = [one for one in found if _text(one, "PatientID") == patient_id]
        return sorted({_uid(one, "StudyInstanceUID") for one in own})

    def patients_of(self, study_uid: str) -> set[str]:
        """PatientIDs under which the server files a study, empty where it has none."""
        found = self._find("STUDY", PatientID="", StudyInstanceUID=study_uid)
        return {_text(one, "PatientID") for one in found}

    def series_of(self, study_uid: str, modalities: tuple[str, ...]) -> list[tuple[str, int]]:
        """SeriesInstanceUID and number of images of a study's series.

        Raises:
            InputError: the server cannot be asked, its answer is cut short, or it states no number
                of images.
        """
        number = "NumberOfStudyRelatedSeries"
        studies = self._find("STUDY", StudyInstanceUID=study_uid, **{number: ""})
        images = "NumberOfSeriesRelatedInstances"
        found = self._find(
            "SERIES",
            StudyInstanceUID=study_uid,
            SeriesInstanceUID="",
            Modality="",
            **{images: ""},
        )
        stated = sum(_number(one, number) for one in studies)
        if len(found) < stated:
            raise truncated(f"{len(found)} of {stated} series of a study")
        series = []
        for one in found:
            if _text(one, "Modality") in modalities:
                if _number(one, images) < 1:
                    raise truncated("a series whose number of images the server does not state")
                series.append((_uid(one, "SeriesInstanceUID"), _number(one, images)))
        return sorted(series)

    def save_series(
        self,
        uids: tuple[str, str],
        count: int,
        folder: Path,
        *,
        patient_id: str = "",
        limit_bytes: int = 1 << 62,
    ) -> SavedSeries:
        """Write every image of a series as the server sends it, or refuse it.

        Args:
            uids: of study and series.
            count: how many images the server stated.
            folder: made where it is missing; a file per image. What was refused is left in it.
            patient_id: whose images these must be; of one patient, whoever it is, if not given.
            limit_bytes: refuse more than this.

        Raises:
            InputError: as :meth:`fibrovol.intake.dicomweb.DicomWeb.save_series`.
            OutputError: the folder cannot be written.
        """
        with writing():
            folder.mkdir(parents=True, exist_ok=True)
        seen: dict[str, int] = {}
        owners = {patient_id} if patient_id else set()
        size_bytes = 0

        def take(dataset: Dataset, encoded: bytes) -> None:
            nonlocal size_bytes
            if not has_its_pixels(dataset):
                raise not_complete("an image that breaks off")
            uid = str(dataset.SOPInstanceUID)
            owners.add(str(dataset.get("PatientID", "")).strip())
            if not is_uid(uid) or len(owners) > 1:
                raise another_patient()
            if str(dataset.get("SeriesInstanceUID", "")) != uids[1]:
                raise not_complete("images of another series")
            size_bytes += len(encoded)
            if size_bytes > limit_bytes:
                raise too_large(limit_bytes)
            number = seen.setdefault(uid, len(seen) + 1)
            with writing():
                (folder / f"{number:05d}.dcm").write_bytes(encoded)

        self._move(take, "SERIES", StudyInstanceUID=uids[0], SeriesInstanceUID=uids[1])
        if len(seen) != count:
            raise not_complete(f"{len(seen)} of {count} images")
        return SavedSeries(next(iter(owners), ""), size_bytes)

    def store(self, dataset: Dataset) -> str:
        """Send one object and fetch it back.

        Returns:
            "" if the server now has it as it was sent, else why not.
        """
        came: list[Dataset] = []
        context = (dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        try:
            with self._associated([context]) as association:
                status = association.send_c_store(dataset)
            if "Status" not in status:
                return "the connection broke off"
            if status.Status != _SUCCESS:
                return f"the server answered 0x{status.Status:04X}"
            self._move(
                lambda one, _: came.append(one),
                "IMAGE",
                StudyInstanceUID=dataset.StudyInstanceUID,
                SeriesInstanceUID=dataset.SeriesInstanceUID,
                SOPInstanceUID=dataset.SOPInstanceUID,
            )
        except (InputError, ValueError) as error:
            return f"it could not be sent and fetched back ({error})"
        if len(came) == 1 and came[0] == dataset:
            return ""
        return "the server has another object under this UID"

    def _find(self, level: str, **keys: str) -> list[Dataset]:
        from pynetdicom.sop_class import (  # noqa: PLC0415
            StudyRootQueryRetrieveInformationModelFind as Model,
        )

        found = []
        with self._associated([(Model, None)]) as association:
            for status, one in association.send_c_find(_query(level, keys), Model):
                code = status.get("Status")
                if code in _PENDING and one is not None:
                    found.append(one)
                elif code != _SUCCESS:
                    raise _refused(code, "C-FIND")
        return found

    def _move(self, take: Callable[[Dataset, bytes], None], level: str, **keys: str) -> None:
        """Have the server send objects here; an error of ``take`` is raised at the end."""
        from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt  # noqa: PLC0415 - optional
        from pynetdicom.sop_class import (  # noqa: PLC0415
            StudyRootQueryRetrieveInformationModelMove as Model,
        )

        errors: list[Exception] = []

        def receive(event: Any) -> int:
            if errors:
                return 0xA700  # refused: nothing more is wanted
            try:
                encoded = event.encoded_dataset()
                from pydicom import dcmread  # noqa: PLC0415 - start-up time

                take(dcmread(BytesIO(encoded)), encoded)
            except Exception as error:  # noqa: BLE001 - raised where the caller sees it
                errors.append(error)
                return 0xC001
            return _SUCCESS

        receiver = AE(ae_title=self.own_title)
        for kind in _storage_classes():
            receiver.add_supported_context(kind, ALL_TRANSFER_SYNTAXES)
        try:
            server = receiver.start_server(
                ("", self.own_port), block=False, evt_handlers=[(evt.EVT_C_STORE, receive)]
            )
        except OSError as error:
            raise InputError(
                "storage_unreachable",
                f"The port {self.own_port} of this machine cannot be listened on",
                found=error.strerror or type(error).__name__,
                do="end the other program, or have the archive know another port and give ?port=",
            ) from None
        try:
            with self._associated([(Model, None)]) as association:
                query = _query(level, keys)
                for status, _ in association.send_c_move(query, self.own_title, Model):
                    code = status.get("Status")
                    if code in _PENDING:
                        continue
                    if errors:
                        raise errors[0]
                    if code != _SUCCESS or status.get("NumberOfFailedSuboperations"):
                        raise _refused(code, "C-MOVE")
        finally:
            server.shutdown()

    def _unreachable(self, found: str) -> InputError:
        return InputError(
            "storage_unreachable",
            "The PACS could not be reached, or does not take us",
            found=found,
            do=f"check host, port and both AE titles: the archive must know {self.own_title}",
        )

    @contextmanager
    def _associated(self, contexts: list[tuple[Any, Any]]) -> Iterator[Any]:
        from pynetdicom import AE  # noqa: PLC0415 - optional

        try:  # the library would leave the socket of a failed connection open
            socket.create_connection((self.host, self.port), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            raise self._unreachable(type(error).__name__) from None
        own = AE(ae_title=self.own_title)
        own.acse_timeout = own.dimse_timeout = own.network_timeout = _SECONDS
        own.connection_timeout = _CONNECT_SECONDS
        for kind, syntax in contexts:
            own.add_requested_context(kind, *([] if syntax is None else [syntax]))
        association = own.associate(self.host, self.port, ae_title=self.title)
        if not association.is_established:
            raise self._unreachable(
                "it rejected the association" if association.is_rejected else "no answer"
            )
        try:
            yield association
        finally:
            association.release()


def _storage_classes() -> list[str]:
    """What may come: images of CT and MR, and what is pushed."""
    from pynetdicom import sop_class as kinds  # noqa: PLC0415 - optional

    names = (
        "CTImageStorage", "EnhancedCTImageStorage", "LegacyConvertedEnhancedCTImageStorage",
        "MRImageStorage", "EnhancedMRImageStorage", "LegacyConvertedEnhancedMRImageStorage",
        "SegmentationStorage", "EnhancedSRStorage", "ComprehensiveSRStorage",
        "Comprehensive3DSRStorage",
    )  # fmt: skip
    return [getattr(kinds, name) for name in names]


def _query(level: str, keys: dict[str, str]) -> Dataset:
    from pydicom import Dataset  # noqa: PLC0415 - start-up time

    query = Dataset()
    query.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(query, name, value or None)
    return query


def _refused(code: int | None, what: str) -> InputError:
    if code is None:
        return InputError(
            "storage_unreachable",
            "The PACS disconnected",
            found=f"no answer to {what}",
            do="check the network, then run the same command again: whole series are kept",
        )
    if code == 0xFE00:
        return truncated(f"{what} ended with Cancel")
    return InputError(
        "storage_unreachable",
        f"The PACS did not carry out {what}",
        found=f"status 0x{code:04X}",
        do="have its administrator allow this for our AE title, and for C-MOVE enter this "
        "machine's address and port",
    )


def _text(found: Dataset, keyword: str) -> str:
    return str(found.get(keyword) or "").strip()


def _number(found: Dataset, keyword: str) -> int:
    text = _text(found, keyword)
    return int(text) if text.isdigit() else 0


def _uid(found: Dataset, keyword: str) -> str:
    uid = _text(found, keyword)
    if not is_uid(uid):
        raise truncated("a UID that is not valid")
    return uid
