"""The command line: argument parser, exit codes, error messages.

Exit codes: 0 all measured; 1 nothing to measure, or the input cannot be used; 2 wrong command line;
3 finished, but some cases failed (they are listed).
"""

# Long because every option of every command stands here, until commands own their parsers.

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from .commands.number_types import at_least_6, micrometres, minutes, positive
from .commands.scan_options import add_bundle_options, add_scan_options
from .commands.slide_options import add_slide_choices
from .errors import FibrovolError
from .provenance import fibrovol_version

_EPILOG = """\
Start with `fibrovol demo`: it makes phantom scans and slides, measures them and writes a report.
Help on one command: fibrovol COMMAND --help
Exit status: 0 all measured; 1 the input cannot be used; 2 wrong command line; 3 some cases failed.
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="fibrovol",
        description="Measures liver volume on CT and MR and collagen on biopsy slides, and\n"
        "compares two visits of each patient. For research; not a medical device.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fibrovol {fibrovol_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_inspect(commands)
    _add_init(commands)
    _add_volume(commands)
    _add_collagen(commands)
    _add_run(commands)
    _add_report(commands)
    _add_status(commands)
    _add_verify(commands)
    _add_train(commands)
    _add_evaluate(commands)
    return parser


_Commands = argparse._SubParsersAction  # the public name does not exist


def _command(
    commands: _Commands[argparse.ArgumentParser], name: str, module: str, short: str, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=short,
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(action=_late(module, name))
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the result as one line of JSON on stdout, and progress as JSON on stderr",
    )
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return parser


def _late(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """The function of a command, imported when it is called: --help must not wait for torch."""

    def action(arguments: argparse.Namespace) -> int:
        commands = import_module(f".commands.{module}", __package__)
        return int(getattr(commands, name)(arguments))

    return action


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the results; made where it is missing. Nothing is written elsewhere",
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="cases measured at the same time; each needs memory of its own (default: 1)",
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE.yaml",
        help="settings that differ from the defaults, in the shape of configs/default.yaml",
    )


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--require-review",
        action="store_true",
        help="compare only cases that a reader has accepted",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse tables that can only be read otherwise than they stand there",
    )


def _add_demo(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "demo",
        "demo",
        "make a phantom study, measure it and write its report: start here",
        "Makes a study of phantoms (drawn scans and slides whose true values are known, in the\n"
        "shape of a clinical trial), measures it, writes the report and says how far the results\n"
        "lie from the truth. One scan is broken on purpose, so the exit status is 3. No person's\n"
        "data are in it.",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("fibrovol-demo"),
        metavar="DIR",
        help="folder for the phantoms and the results (default: fibrovol-demo)",
    )
    parser.add_argument(
        "--subjects", type=at_least_6, metavar="N", help="patients in the study (default: 19)"
    )
    parser.add_argument(
        "--small", action="store_true", help="coarser scans and smaller slides: quicker"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another study of the kind (default: 0)"
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="cases measured at the same time (default: one for each processor core)",
    )


def _add_inspect(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "inspect",
        "inspect",
        "list the scans and slides under a path, and which can be measured",
        "Lists every series and slide under the paths: what it is, whether it can be measured,\n"
        "and why not. Reads headers only and writes nothing. The list is for your screen:\n"
        "descriptions and paths in it may name a patient.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files or folders")


def _add_init(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "init",
        "inspect",
        "draft the study tables from a folder of scans and slides",
        "Drafts study.csv and study.yaml from what lies in the folders. What is clear becomes a\n"
        "row; what is not (two series that could be meant, a date between visits) goes to\n"
        "study-open.csv with the reason, for you to decide. Check every row: it goes by what the\n"
        "files say. Without --codes the PatientID becomes the subject code.",
    )
    parser.add_argument("scans", type=Path, metavar="SCANS", help="folder with the scans")
    parser.add_argument(
        "slides", type=Path, nargs="?", metavar="SLIDES", help="folder with the slides"
    )
    _add_output(parser)
    parser.add_argument(
        "--codes",
        type=Path,
        metavar="FILE.csv",
        help="your code list: columns patient_id,subject; it stays with you",
    )
    parser.add_argument(
        "--months",
        type=positive,
        default=6,
        metavar="N",
        help="when the follow-up was planned, in months after baseline (default: 6)",
    )
    parser.add_argument(
        "--tolerance-days",
        type=positive,
        default=60,
        metavar="N",
        help="how far from that a scan may lie (default: 60)",
    )


def _add_volume(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "volume",
        "measure",
        "measure the liver volume of CT or MR scans",
        "Measures the liver volume of one or many scans. No study is needed.\n\n"
        "Writes volumes.csv, the liver masks (masks/, open them over the scan in 3D Slicer or\n"
        "ITK-SNAP) and pictures with the contour (overlays/: look at them). A scan whose geometry\n"
        "cannot be trusted is refused with the reason; the others are measured.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a folder with the DICOM files of a series, or a NIfTI file",
    )
    _add_output(parser)
    parser.add_argument(
        "--engine", metavar="NAME", help="what finds the liver (default: liver_net, shipped)"
    )
    parser.add_argument(
        "--modality",
        choices=["ct", "mr"],
        help="for files that do not say it, such as NIfTI (default: told by the grey values)",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        metavar="FILE",
        help="an existing liver mask of the one scan, measured instead of finding the liver",
    )
    parser.add_argument(
        "--mask-segment",
        metavar="NAME",
        help="the liver in a --mask of several organs: its name or number, 1-8 for several",
    )
    parser.add_argument(
        "--series-uid",
        metavar="UID",
        help="SeriesInstanceUID of the series to measure in a folder of several",
    )
    add_scan_options(parser)
    _add_run_options(parser)


def _add_collagen(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "collagen",
        "measure",
        "measure the collagen area fraction of stained slides",
        "Measures the collagen area fraction (collagen proportionate area) of one or many slides:\n"
        "collagen in per cent of tissue. No study is needed.\n\n"
        "Writes collagen.csv, fragments.csv (each piece of tissue), masks (masks/; the .geojson\n"
        "opens in QuPath) and pictures (overlays/: look at them).",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a slide (SVS, NDPI, MRXS, TIFF, DICOM, …) or a picture of a field",
    )
    _add_output(parser)
    parser.add_argument(
        "--stain",
        required=True,
        metavar="STAIN",
        help="psr (picrosirius red), masson, masson_green, van_gieson, or custom",
    )
    parser.add_argument(
        "--custom-stain",
        type=Path,
        metavar="FILE.yaml",
        help="with --stain custom: its colours, as stain vectors or as regions picked on a slide",
    )
    parser.add_argument(
        "--mpp",
        type=micrometres,
        metavar="UM",
        help="size of one pixel at full resolution in um, for files that do not state it",
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        metavar="FILE.geojson",
        help="regions to leave out (capsule, large vessels, folds): GeoJSON of QuPath, ImageJ ROI, "
        "Aperio XML, NDPA, or a mask picture",
    )
    parser.add_argument(
        "--include",
        type=Path,
        metavar="FILE.geojson",
        help="measure only inside these regions",
    )
    add_slide_choices(parser)
    _add_run_options(parser)


def _add_run(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "run",
        "measure",
        "measure a whole study and write its report",
        "Measures every scan and slide of a study, compares the visits and writes report.html.\n\n"
        "Everything in the study tables that is wrong is listed before anything is measured. A\n"
        "scan or slide that cannot be measured is listed as failed with the reason, and the\n"
        "others go on. Give the same command again to go on after an interruption: what is\n"
        "finished is not measured twice.",
    )
    add_scan_options(parser)
    parser.add_argument(
        "--shift-dates",
        type=Path,
        metavar="FILE.csv",
        help="with --dicom: write study dates, moved by each subject's number of days (columns "
        "subject,days; drawn at random where there is no such file). Who has it can undo it",
    )
    parser.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="address of a running Dask scheduler, whose workers see the same paths",
    )
    _add_comparison(parser)
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="study.yaml, or study.csv, or their folder"
    )
    _add_output(parser)
    _add_run_options(parser)


def _add_report(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "report",
        "measure",
        "write the report of a measured study again",
        "Rebuilds paired.csv, statistics.csv and report.html from the tables in a results folder.",
    )
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="the results folder of `fibrovol run`"
    )
    parser.add_argument(
        "--repeat",
        type=Path,
        metavar="DIR2",
        help="the results folder of a second run, reader or engine over the same cases: adds their "
        "agreement (Bland-Altman, ICC, smallest detectable change)",
    )
    _add_comparison(parser)
    parser.add_argument(
        "--blind",
        action="store_true",
        help="also write report_blind.html, the pictures under codes for a reader who must not "
        "know subject or visit, and report_blind_key.csv, their key",
    )


def _add_train(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "train",
        "train",
        "train the liver network on your own labelled CTs",
        "Trains the liver network on a folder of CTs (NAME_ct.nii.gz beside NAME_organs.nii.gz)\n"
        "for a given time, from the start or, with --from-shipped, from Fibrovol's own. Without\n"
        "a graphics card it takes hours; stopped and started again it goes on. Writes a bundle\n"
        "for --bundle. Keep some cases out with --hold-out and judge the bundle on them with\n"
        "`fibrovol evaluate --bundle`.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the labelled CTs")
    _add_output(parser)
    parser.add_argument("--minutes", type=minutes, metavar="N", help="how long (default: 90)")
    made = "YAML that says how to train; `liver` is how the shipped weights are made"
    parser.add_argument("--recipe", metavar="FILE", help=made)
    parser.add_argument(
        "--labels",
        metavar="ORGAN=N,…",
        help="what the numbers in your label maps mean, such as liver=1,spleen=2 "
        "(default: BTCV's, liver=6)",
    )
    parser.add_argument(
        "--hold-out", nargs="+", metavar="NAME", help="cases that are never trained on"
    )
    shipped = "start from the network that Fibrovol ships, not from random weights"
    parser.add_argument("--from-shipped", action="store_true", help=shipped)
    parser.add_argument("--seed", type=int, metavar="N", help="of the random numbers (default: 0)")


def _add_evaluate(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "evaluate",
        "evaluate",
        "compare an engine with livers drawn by people",
        "Segments every labelled scan of a folder (NAME_ct.nii.gz or NAME_mr.nii.gz beside\n"
        "NAME_organs.nii.gz or NAME_liver.nii.gz) and compares: Dice, HD95, volume error.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the labelled scans")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for evaluation.csv and a picture of each case with both contours",
    )
    parser.add_argument("--engine", default="liver_net", metavar="NAME", help="what is compared")
    add_bundle_options(parser)
    parser.add_argument(
        "--liver-label",
        type=positive,
        required=True,
        metavar="N",
        help="the liver's number in the label maps (6 in BTCV)",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="names of the cases to compare (default: all)"
    )


def _add_status(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "status",
        "status",
        "say how far a run is, or how it ended",
        "Says whether a run into a results folder is going on, is finished or was stopped, how\n"
        "far it is, and which cases failed so far and why. Disturbs nothing.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the results folder")


def _add_verify(commands: _Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "verify",
        "status",
        "check that inputs and results are still what was measured",
        "Reads every input, mask, picture and table of a results folder again and says what is no\n"
        "longer what was measured or written. Exit status 3 if something differs.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the results folder")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; those of the process if not given.

    Returns:
        The exit status, see the module.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a Korean or Western Windows console lacks characters
            stream.reconfigure(errors="replace")
    arguments = build_parser().parse_args(argv)
    if not arguments.debug:
        # what a library warns of while a case is measured goes to the case's log
        warnings.simplefilter("ignore")
    try:
        return int(arguments.action(arguments))
    except KeyboardInterrupt:
        print(
            "\nStopped. Finished cases are kept: give the same command again to go on.",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:  # `fibrovol … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FibrovolError as error:
        print(f"fibrovol: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        print(
            f"fibrovol: An unexpected error. Found: {reason}. What to do: give the command again "
            "with --debug and report what it prints.",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
