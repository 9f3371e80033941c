"""Create and check the output directory, and move only complete files into it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import OutputError
from ..files import PARTIAL_PREFIX, move, sha256_file, writing
from ..intake.remote import Url
from ..intake.study import Study
from .task import case_inputs

WORK_NAME = ".fibrovol"
"""Journal, lock and staging; contains the inputs' paths, so it is not for passing on."""

FOLDERS = ("masks", "overlays", "logs", "corrections")


class OutputDirectory:
    """Where a run writes, and nowhere else.

    Args:
        path: the directory; made where it is missing.

    Attributes:
        path: absolute.
        work: the folder of journal, lock and staging.

    Raises:
        OutputError: it cannot be made or written, or a folder in it is a link that leads out.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.normpath(Path(path).absolute()))
        self.work = self.path / WORK_NAME
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_links_out()
            self.work.mkdir(exist_ok=True)
            # permission bits do not tell on network shares and as root: try
            handle, name = tempfile.mkstemp(prefix=".try-", dir=self.work)
            os.close(handle)
            Path(name).unlink()
        except OSError as error:
            raise OutputError(
                "output_not_writable",
                "The output directory cannot be written",
                found=f"{error.strerror or error}: {self.path}",
                do="give another directory with -o, or correct its permissions",
            ) from None

    def _refuse_links_out(self) -> None:
        real = self.path.resolve()
        for name in (*FOLDERS, "kept", WORK_NAME, f"{WORK_NAME}/staging"):
            folder = self.path / name
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                inside = folder.resolve().is_relative_to(real) and folder.is_dir()
                if not inside:
                    raise OutputError(
                        "output_not_writable",
                        f"{name} in the output directory points outside it or is not a folder",
                        found=f"{folder}",
                        do="remove it; Fibrovol writes only inside the output directory",
                    )

    def refuse_inputs_inside(self, study: Study) -> None:
        """Refuse an output directory that lies in an input, or over the study's own tables.

        What is written there would be read as input the next time, or replace the user's files.

        Raises:
            OutputError: it does.
        """
        real = self.path.resolve()
        if study.source is not None and study.source.resolve().parent == real:
            raise OutputError(
                "output_not_writable",
                "The output directory is the study's own folder",
                found=str(self.path),
                do="give a folder of its own, such as -o results",
            )
        for case in study.cases:
            for path in case_inputs(case):
                if isinstance(path, Url):
                    continue  # nothing is written there
                folder = path.resolve()
                if real == folder or (real.is_relative_to(folder) and folder.is_dir()):
                    raise OutputError(
                        "output_not_writable",
                        "The output directory lies inside an input folder",
                        found=f"{self.path} in {path}",
                        do="give a folder outside the scans and slides with -o",
                    )

    def refuse_other_use(self, *, is_study: bool) -> None:
        """Keep a study's results apart from those of single scans and slides.

        Raises:
            OutputError: the directory contains the other of the two, whose rows would be lost.
        """
        has_tables = any((self.path / f"{name}.csv").exists() for name in ("volumes", "collagen"))
        has_study = (self.path / "study.json").exists()
        if has_tables and has_study != is_study:
            raise OutputError(
                "output_not_writable",
                "The output directory contains other results",
                found="those of a study" if has_study else "those of single scans or slides",
                do="give another directory with -o",
            )

    def new_staging(self) -> Path:
        """A name for the files of one case; two attempts never share one."""
        return self.work / "staging" / uuid.uuid4().hex

    def clear_staging(self) -> None:
        """Remove what earlier runs left half done, and only that."""
        for folder in (self.path, self.work, *(self.path / name for name in FOLDERS)):
            for leftover in folder.glob(f"{PARTIAL_PREFIX}*"):
                leftover.unlink(missing_ok=True)
        shutil.rmtree(self.work / "staging", ignore_errors=True)

    def publish(
        self, staging: Path, outputs: Mapping[str, str], recorded: Mapping[str, str]
    ) -> list[str]:
        """Move a case's files to their places.

        A file that a person edited since (its content is neither the recorded nor the new one) is
        kept under ``kept/``, never overwritten.

        Args:
            staging: where the files are.
            outputs: SHA-256 by relative path.
            recorded: SHA-256 of the files that an earlier run wrote.

        Returns:
            What was kept, relative to the directory.

        Raises:
            OutputError: a file cannot be moved.
        """
        kept = []
        with writing():
            for name, sha256 in outputs.items():
                target = self.path / name
                target.parent.mkdir(exist_ok=True)
                if not name.startswith("logs/") and target.is_file() and not target.is_symlink():
                    present = sha256_file(target)
                    if present not in (recorded.get(name), sha256):
                        kept.append(self._keep(target, name, present))
                move(staging / name, target)
        with contextlib.suppress(OSError, ValueError):  # a leftover is removed at the next start
            own = staging.relative_to(self.work / "staging").parts[0]
            shutil.rmtree(self.work / "staging" / own)
        return kept

    def _keep(self, target: Path, name: str, sha256: str) -> str:
        kept = f"kept/{sha256[:8]}-{Path(name).name}"
        (self.path / kept).parent.mkdir(exist_ok=True)
        move(target, self.path / kept)
        return kept

    def present(self, names: Iterable[str]) -> bool:
        """Whether all these files are there and not empty."""
        try:
            return all((self.path / name).stat().st_size > 0 for name in names)
        except OSError:
            return False
