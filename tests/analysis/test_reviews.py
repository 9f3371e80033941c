"""Verdicts: what is kept, what stands, and what that does to a comparison."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from fibrovol.analysis.design import Design
from fibrovol.analysis.flow import flow_of
from fibrovol.analysis.paired import make_pairs
from fibrovol.analysis.reading import cohens_kappa, reading
from fibrovol.analysis.reviews import Read, comparable, make_review, safe_text, standing
from fibrovol.errors import InputError
from fibrovol.flags import FLAGS, doubtful, incomplete, questioned
from fibrovol.measures import COMPARED
from fibrovol.tables import format_table, read_table

AT = datetime(2026, 11, 27, 13, 0, tzinfo=UTC)
MASK = "a" * 64


def line(case_id="A_baseline", verdict="accept", reader="r1", mask=MASK, value=1000.0, **more):
    read = Read(case_id, 0, mask, value, tuple(more.pop("flags", ())))
    answer = {"verdict": verdict, "reader": reader, "reason": "movement", **more}
    return make_review(read, answer, at=AT, version="1")


def volume_row(subject, timepoint, value, flags="", **more):
    return {
        "subject": subject,
        "timepoint": timepoint,
        "case_id": f"{subject}_{timepoint}",
        "status": "measured",
        "modality": "CT",
        "spacing_mm": "1x1x1",
        "volume_ml": value,
        "volume_ml_low": value - 10,
        "volume_ml_high": value + 10,
        "spleen_volume_ml": 200.0,
        "liver_spleen_ratio": value / 200,
        "flags": flags,
        "error": "",
        "contrast": "",
        "corrected_from_ml": None,
        "reader": "",
        **more,
    }


def study():
    rows = []
    for number, subject in enumerate("ABCD"):
        rows.append(volume_row(subject, "baseline", 1000.0 + number))
        rows.append(volume_row(subject, "month6", 1200.0 + number))
    return Design(tuple("ABCD"), ("baseline", "month6")), rows


def paired_subjects(design, rows, reviews, measure="liver_volume_ml", **options):
    masks = {row["case_id"]: MASK for row in rows}
    taken = comparable(rows, standing(reviews, masks), **options)
    pairs = make_pairs(design, taken.rows, [], accepted=taken.accepted)
    ours = [pair for pair in pairs if pair.measure == measure]
    return [pair.subject for pair in ours if pair.paired], flow_of(ours)


def test_a_rejected_case_leaves_the_comparison_and_stands_in_the_flow_with_its_reason():
    design, rows = study()
    subjects, flow = paired_subjects(design, rows, [line("B_month6", "reject")])
    assert subjects == ["A", "C", "D"]
    assert flow.excluded == (("B", "a reader rejected the scan of month6 (movement)"),)
    assert flow.measured == (4, 3, 3)


def test_another_scan_of_the_visit_counts_where_one_was_rejected():
    design, rows = study()
    rows.append(volume_row("B", "month6", 1300.0, case_id="B_month6_2"))
    masks = {row["case_id"]: MASK for row in rows}
    taken = comparable(rows, standing([line("B_month6", "reject")], masks))
    pair = next(
        p
        for p in make_pairs(design, taken.rows, [], accepted=taken.accepted)
        if p.subject == "B" and p.measure == "liver_volume_ml"
    )
    assert pair.followup.value == 1300.0
    assert "case_left_out" in pair.flags


@pytest.mark.parametrize(
    ("overrule", "expected"), [(True, ["A", "B", "C", "D"]), (False, list("ACD"))]
)
def test_a_cut_liver_is_compared_only_where_a_reader_overruled_the_flag(overrule, expected):
    design, rows = study()
    rows[2]["flags"] = "liver_cut_off"
    review = line(
        "B_baseline",
        flags=["liver_cut_off"],
        overruled_flags=["liver_cut_off"] if overrule else [],
    )
    assert paired_subjects(design, rows, [review])[0] == expected


def test_nothing_unread_is_paired_where_reading_is_required():
    design, rows = study()
    reviews = [line(f"A_{visit}") for visit in ("baseline", "month6")] + [line("B_baseline")]
    subjects, flow = paired_subjects(design, rows, reviews, require_review=True)
    assert subjects == ["A"]
    assert dict(flow.excluded)["B"] == "no reader has accepted the scan of month6"
    assert paired_subjects(design, rows, reviews)[0] == list("ABCD")


def test_a_verdict_on_another_mask_does_not_count():
    reviews = [line("A_baseline", "reject", mask="b" * 64)]
    stand = standing(reviews, {"A_baseline": MASK})["A_baseline"]
    assert (stand.verdict, stand.outdated) == ("", True)


def test_the_newest_line_of_a_reader_counts_and_a_rejection_by_another_stays():
    masks = {"A_baseline": MASK}
    mind_changed = [line(verdict="reject"), line(verdict="accept")]
    assert standing(mind_changed, masks)["A_baseline"].verdict == "accept"
    two = [line(verdict="reject", reader="r1"), line(verdict="accept", reader="r2")]
    assert standing(two, masks)["A_baseline"].verdict == "reject"
    assert standing([*two, line(verdict="withdraw", reader="r1")], masks)["A_baseline"].verdict == (
        "accept"
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"verdict": "maybe"}, "not a known one"),
        ({"reader": "Dr. Kim"}, "code"),
        ({"verdict": "reject", "reason": " "}, "needs a reason"),
        ({"overruled_flags": ["short_biopsy"]}, "cannot be overruled"),
        ({"quality": 6}, "quality"),
        ({"quality": True}, "quality"),
        ({"note": "x" * 2001}, "too long"),
    ],
)
def test_a_verdict_that_lacks_something_is_refused(answer, words):
    read = Read("A", 0, MASK, 1000.0)
    with pytest.raises(InputError, match=words) as error:
        make_review(read, {"verdict": "accept", "reader": "r1", **answer}, at=AT, version="1")
    assert error.value.code == "bad_review"


def test_a_failed_case_can_be_rejected_but_not_accepted():
    read = Read("A", 0, "", None)
    with pytest.raises(InputError, match="no number"):
        make_review(read, {"verdict": "accept", "reader": "r1"}, at=AT, version="1")
    row = make_review(
        read, {"verdict": "reject", "reader": "r1", "reason": "no liver"}, at=AT, version="1"
    )
    assert row["value"] is None


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+1", "-1", "＝1", "\n=1+1", "\x00\t=1"])
def test_no_cell_of_the_table_is_a_formula_or_breaks_its_line(tmp_path, text):
    row = {"review": 1, **line(note=f'{text}\nsecond, "line"', verdict="reject", reason=text)}
    written = format_table("reviews", [row])
    assert written.count("\n") == 2
    (tmp_path / "reviews.csv").write_text(written, encoding="utf-8")
    (back,) = read_table(tmp_path, "reviews")
    assert back["reason"][0] == back["note"][0] == "'"
    assert back["note"].endswith('second, "line"')
    assert safe_text("a = b") == "a = b"


def test_kappa_is_that_of_the_textbook():
    """Fleiss, Levin, Paik (2003), table 18.1: kappa 0.676 with standard error 0.088."""
    counts = {
        ("p", "p"): 75, ("p", "n"): 1, ("p", "o"): 4,
        ("n", "p"): 5, ("n", "n"): 4, ("n", "o"): 1,
        ("o", "p"): 0, ("o", "n"): 0, ("o", "o"): 10,
    }  # fmt: skip
    kappa = cohens_kappa([pair for pair, n in counts.items() for _ in range(n)])
    assert kappa.value == pytest.approx(0.676, abs=5e-4)
    assert (kappa.high - kappa.low) / 2 / 1.959964 == pytest.approx(0.088, abs=5e-4)
    assert cohens_kappa([("accept", "accept")] * 5) is None


def test_the_standard_error_of_kappa_is_that_of_resampling():
    rng = np.random.default_rng(1)
    both = [("a", "a")] * 60 + [("a", "r")] * 15 + [("r", "a")] * 5 + [("r", "r")] * 20
    kappa = cohens_kappa(both)
    drawn = []
    for _ in range(800):
        sample = [both[i] for i in rng.integers(0, len(both), len(both))]
        drawn.append(cohens_kappa(sample).value)
    assert (kappa.high - kappa.low) / 2 / 1.96 == pytest.approx(np.std(drawn), rel=0.1)


def test_methods_can_say_how_much_was_read_corrected_and_by_how_many():
    _, rows = study()
    for row, before in zip(rows[:3], (990.0, 1190.0, 1003.0), strict=True):
        row |= {"corrected_from_ml": before, "reader": "r1"}
    reviews = [line(row["case_id"]) for row in rows[:4]]
    reviews += [line(rows[0]["case_id"], "reject", "r2"), line(rows[1]["case_id"], reader="r2")]
    masks = {row["case_id"]: MASK for row in rows}
    counts = reading(rows, [], reviews, standing(reviews, masks))
    assert (counts.n_cases, counts.n_read, counts.n_accepted, counts.n_rejected) == (8, 4, 3, 1)
    assert counts.readers == ("r1", "r2")
    assert counts.n_corrected == 3
    assert counts.correction.bias.value == pytest.approx((10 + 10 - 2) / 3)
    (two,) = counts.agreement
    assert (two.readers, two.n, two.agreed) == (("r1", "r2"), 2, 1)


def test_flags_that_ask_for_a_reader_are_those_of_the_table():
    """A number that may be wrong and one that is too small both wait; a remark does not."""
    assert questioned(["thick_slices", "liver_cut_off", "little_tissue", "of_a_newer_version"]) == (
        "liver_cut_off",
        "little_tissue",
    )
    assert incomplete(["liver_cut_off"], "liver_volume_ml") == ("liver_cut_off",)
    assert incomplete(["liver_cut_off"], "spleen_volume_ml") == ()
    assert doubtful(["liver_cut_off"]) == ()
    assert all(set(flag.incomplete) <= set(COMPARED) for flag in FLAGS.values())
