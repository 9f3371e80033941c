"""Inputs in an object store: a real S3 protocol on this machine, and fsspec's store in memory."""

import functools
import json
import os
import shutil
import threading
import zlib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import fibrovol
import jsonschema
import nibabel as nib
import numpy as np
import pytest
from fibrovol.batch.isolation import Limits
from fibrovol.batch.pool import Plan, PoolExecutor
from fibrovol.batch.runner import run_study
from fibrovol.batch.verify import verify
from fibrovol.errors import InputError, ManifestError
from fibrovol.files import sha256_file
from fibrovol.intake import remote
from fibrovol.intake.study import read_study
from fibrovol.settings import load_settings
from fibrovol.tables import read_table
from fibrovol.tests.dicom_writer import write_series

SCHEMA = Path(remote.__file__).parents[1] / "configs" / "provenance.schema.json"
HEADER = "subject,timepoint,kind,path,stain,mpp_um,mask,modality"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A slide, a scan with its mask, and a DICOM series with its mask."""
    folder = tmp_path_factory.mktemp("images")
    picture = np.full((300, 400, 3), 247, np.uint8)
    picture[50:250, 50:350] = (120, 190, 230)
    picture[60:240:5, 60:340] = (80, 40, 190)
    cv2.imwrite(str(folder / "slide.png"), picture)
    affine = np.diag([-2.0, -2.0, 5.0, 1.0])
    labels = np.zeros((60, 50, 20), np.uint8)
    labels[10:40, 10:40, 4:16] = 1
    hu = np.where(labels == 1, 100, -80).astype(np.int16)
    for name, array in (("scan", hu), ("mask", labels)):
        nib.save(nib.Nifti1Image(array, affine), folder / f"{name}.nii.gz")
    heights = tuple(np.arange(-20.0, 20.01, 5.0))  # each slice is an object to be asked for
    write_series(folder / "series" / "deep", heights_mm=heights, thickness_mm=5.0)
    volume = fibrovol.read_scan(folder / "series")
    inside = (volume.array > volume.array.min() + 1).astype(np.uint8)
    nib.save(nib.Nifti1Image(inside, volume.affine), folder / "series.nii.gz")
    return folder


@pytest.fixture(scope="module")
def local(images, tmp_path_factory):
    """Results of the images as files."""
    folder = tmp_path_factory.mktemp("local")
    run_study(write_study(folder, str(images), ROWS), folder / "out")
    return folder / "out"


@pytest.fixture
def store(images):
    """The images in a store in this process's memory, under memory://bucket/."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs.clear()
    memory.put(f"{images}/", "/bucket/", recursive=True)
    yield memory
    memory.store.clear()


def write_study(folder, base, rows):
    lines = [HEADER, *(row.replace("@/", f"{base}/") for row in rows)]
    folder.mkdir(exist_ok=True)
    (folder / "study.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_study(folder / "study.csv")


ROWS = [
    "A,base,slide,@/slide.png,psr,1.0,,",
    "A,base,scan,@/scan.nii.gz,,,@/mask.nii.gz,CT",
    "B,base,scan,@/series/,,,@/series.nii.gz,",
]


def rows_of(folder):
    tables = ("volumes", "collagen")
    return [row for name in tables for row in read_table(folder, name)]


def errors_of(folder):
    return [str(row["error"]).partition(":")[0] for row in rows_of(folder)]


def test_an_address_gives_the_numbers_of_the_file(tmp_path, local, store):
    study = write_study(tmp_path / "b", "memory://bucket", ROWS)
    assert run_study(study, tmp_path / "out").failures == ()
    assert rows_of(tmp_path / "out") == rows_of(local)
    assert all(row["input_sha256"] for row in rows_of(tmp_path / "out"))
    cases = json.loads((tmp_path / "out" / "provenance.json").read_text("utf-8"))
    jsonschema.validate(cases, json.loads(SCHEMA.read_text("utf-8")))
    entry = cases["cases"]["A_base_slide"]
    assert entry["input"]["store"] == "memory://bucket"
    assert entry["seconds"]["fetch"] >= 0
    of_files = json.loads((local / "provenance.json").read_text("utf-8"))
    for name, case in of_files["cases"].items():
        assert cases["cases"][name]["input"]["content_sha256"] == case["input"]["content_sha256"]


def test_no_copy_stays_and_a_second_run_fetches_nothing(tmp_path, store, monkeypatch):
    study = write_study(tmp_path / "a", "memory://bucket", ROWS)
    run_study(study, tmp_path / "out")
    assert not list((tmp_path / "out" / ".fibrovol").rglob("inputs-*"))
    monkeypatch.setattr(type(store), "get", None)  # a fetch would fail now
    assert run_study(study, tmp_path / "out").n_reused == 3
    assert verify(tmp_path / "out").mismatches == ()


def test_a_changed_object_is_measured_again_and_found_by_verify(tmp_path, images, store):
    study = write_study(tmp_path / "a", "memory://bucket", ROWS)
    run_study(study, tmp_path / "out")
    store.pipe("/bucket/slide.png", (images / "slide.png").read_bytes() + b"more")
    (mismatch,) = verify(tmp_path / "out").mismatches
    assert (mismatch.what, mismatch.name) == ("input", "A_base_slide")
    assert run_study(study, tmp_path / "out").n_reused == 2


def test_a_prefix_is_a_folder_with_what_is_below_it(tmp_path, store):
    fetched = tmp_path / "copy"
    fetched.mkdir()
    place = remote.fetch(remote.read_url("memory://bucket/series/"), fetched, 1 << 30)
    assert place == fetched / "series"
    assert sorted(p.name for p in (place / "deep").iterdir())
    assert len(list((place / "deep").iterdir())) == len(store.ls("/bucket/series/deep"))


def test_what_is_not_there_fails_alone(tmp_path, store):
    rows = [*ROWS[:2], "B,base,slide,@/gone.png,psr,1.0,,", "C,base,scan,@/nothing/,,,,CT"]
    study = write_study(tmp_path / "a", "memory://bucket", rows)
    summary = run_study(study, tmp_path / "out")
    assert sorted(name for name, _ in summary.failures) == ["B_base_slide", "C_base_scan"]
    assert errors_of(tmp_path / "out") == ["", "input_missing", "", "input_missing"]
    store.copy("/bucket/slide.png", "/bucket/gone.png")
    assert run_study(study, tmp_path / "out").n_reused == 2
    assert errors_of(tmp_path / "out") == ["", "input_missing", "", ""]


def test_an_object_that_vanishes_or_changes_while_it_is_measured(tmp_path, store, monkeypatch):
    import fibrovol.histology.measure as histology

    measure = histology.measure_collagen
    study = write_study(tmp_path / "a", "memory://bucket", ROWS[:1])
    place = "/bucket/slide.png"
    for disturb in (lambda: store.rm(place), lambda: store.pipe(place, b"x")):
        content = store.cat(place)

        def disturbed(path, disturb=disturb, **kwargs):
            measured = measure(path, **kwargs)
            disturb()
            return measured

        with monkeypatch.context() as patch:
            patch.setattr(histology, "measure_collagen", disturbed)
            run_study(study, tmp_path / "out")
        assert errors_of(tmp_path / "out") == ["input_changed"]
        store.pipe(place, content)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (PermissionError("s3://bucket/HONG-GILDONG"), "unreadable_file"),
        (ConnectionError("s3://bucket/HONG-GILDONG?X-Amz-Signature=secret"), "storage_unreachable"),
        (zlib.error("HONG-GILDONG"), "storage_unreachable"),
        (ImportError("Install s3fs to access S3"), "storage_not_installed"),
    ],
)
def test_what_a_store_raises_is_a_sentence_without_the_address(
    tmp_path, store, monkeypatch, failure, code
):
    def fail(*_args, **_kwargs):
        raise failure

    study = write_study(tmp_path / "a", "memory://bucket", ROWS[:1])
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "get", fail)
        run_study(study, tmp_path / "out")
    assert errors_of(tmp_path / "out") == [code]
    for file in tmp_path.joinpath("out").rglob("*"):
        assert not file.is_file() or b"GILDONG" not in file.read_bytes()
        assert not file.is_file() or b"secret" not in file.read_bytes()
    # with the store back, the next run measures it
    if code != "unreadable_file":
        assert run_study(study, tmp_path / "out").failures == ()


def test_more_than_allowed_or_less_than_announced_is_refused(tmp_path, store, monkeypatch):
    study = write_study(tmp_path / "a", "memory://bucket", ROWS[:1])
    store.pipe("/bucket/slide.png", b"x" * (2 << 20))
    run_study(
        study, tmp_path / "out", settings=load_settings({"run": {"download_limit_gib": 0.001}})
    )
    assert errors_of(tmp_path / "out") == ["unreadable_file"]
    get = type(store).get

    def broken_off(self, keys, places, **kwargs):
        get(self, keys, places, **kwargs)
        Path(places[0]).write_bytes(b"half")

    monkeypatch.setattr(type(store), "get", broken_off)
    with pytest.raises(InputError, match="not the size"):
        remote.fetch(remote.read_url("memory://bucket/slide.png"), tmp_path, 1 << 30)


@pytest.mark.parametrize("name", ["../up.dcm", "a/../../up.dcm", "C:up", "back\\slash"])
def test_no_object_is_written_outside_its_folder(tmp_path, store, name):
    store.store[f"/bucket/evil/{name}"] = store.store["/bucket/slide.png"]
    with pytest.raises(InputError):
        remote.fetch(remote.read_url("memory://bucket/evil"), tmp_path / "in", 1 << 30)
    assert not list(tmp_path.rglob("*up*"))


def test_the_pixels_of_an_mrxs_slide_come_with_it(tmp_path, store):
    for key in ("slide.mrxs", "slide/Slidedat.ini", "slide/Data0001.dat", "slide2/other.dat"):
        store.pipe(f"/bucket/m/{key}", key.encode())
    url = remote.read_url("memory://bucket/m/slide.mrxs")
    assert remote.fetch(url, tmp_path, 1 << 30) == tmp_path / "slide.mrxs"
    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert found == ["slide.mrxs", "slide/Data0001.dat", "slide/Slidedat.ini"]
    assert len(remote.remote_content_sha256(url)) == 2


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("s3://KEY:SECRET@bucket/scan", "name or password"),
        ("file:///data/scan.nii", "without file://"),
        ("zip://scan.nii::s3://bucket/x.zip", "zip:// is not read"),
        ("s3://bucket::x/scan", "inside addresses"),
        ("dask://scan", "dask:// is not read"),
        ("s3://", "names no object"),
    ],
)
def test_addresses_that_are_not_read(tmp_path, written, words):
    with pytest.raises(ManifestError, match=words) as caught:
        write_study(tmp_path, "", [f"A,base,scan,{written},,,,CT"])
    assert "SECRET" not in str(caught.value)


def test_one_address_cannot_be_two_visits(tmp_path):
    rows = ["A,base,scan,s3://b/one/1.nii,,,,CT", "A,m6,scan,s3://b/one/1.nii,,,,CT"]
    with pytest.raises(ManifestError, match="same as in line 2"):
        write_study(tmp_path, "", rows)
    rows[1] = "A,m6,scan,s3://b/two/1.nii,,,,CT"  # the same name elsewhere is another scan
    assert len(write_study(tmp_path, "", rows).cases) == 2


@pytest.fixture
def s3(images, monkeypatch):
    """An S3 server on this machine with the images in a bucket."""
    moto_server = pytest.importorskip("moto.server", reason="moto and flask are not installed")
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("s3fs")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-for-any-file")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    client = boto3.client("s3")
    client.create_bucket(Bucket="archive")
    for file in images.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "archive", file.relative_to(images).as_posix())
    try:
        yield address
    finally:
        server.stop()


@pytest.mark.slow
def test_a_study_in_an_object_store(tmp_path, local, s3, monkeypatch):
    """In processes of their own: the worker downloads, the driver sees addresses."""
    rows = [*ROWS, "C,base,slide,@/gone.png,psr,1.0,,"]
    rows.append("D,base,slide,s3://no-such-bucket/slide.png,psr,1.0,,")
    study = write_study(tmp_path / "a", "s3://archive", rows)
    executor = PoolExecutor(Plan(1, 1, Limits(300.0)))
    run_study(study, tmp_path / "out", executor=executor)
    measured = [row for row in rows_of(tmp_path / "out") if row["status"] == "measured"]
    assert measured == rows_of(local)
    assert errors_of(tmp_path / "out") == ["", "", "", "input_missing", "input_missing"]
    assert not list((tmp_path / "out" / ".fibrovol").rglob("inputs-*"))
    for file in tmp_path.joinpath("out").rglob("*"):
        assert not file.is_file() or b"not-for-any-file" not in file.read_bytes()
    assert run_study(study, tmp_path / "out").n_reused == 3
    assert verify(tmp_path / "out").mismatches == ()
    # refused and unreachable stores are sentences
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
    with pytest.raises(InputError, match="refused") as caught:
        remote.remote_state(remote.read_url("s3://archive/slide.png"))
    assert caught.value.code == "unreadable_file"


def test_a_file_on_a_web_server(tmp_path):
    pytest.importorskip("aiohttp", reason="fibrovol[s3] is not installed")
    (tmp_path / "www").mkdir()
    file = tmp_path / "www" / "slide.svs"
    file.write_bytes(b"first")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = remote.read_url(f"http://127.0.0.1:{server.server_port}/slide.svs?signature=secret")
        before = remote.remote_state(url)
        assert remote.fetch(url, tmp_path, 1 << 30) == tmp_path / "slide.svs"
        assert remote.remote_content_sha256(url) == [sha256_file(file)]
        file.write_bytes(b"other")  # as long as before
        os.utime(file, (1e9, 1e9))
        assert remote.remote_state(url).stat_sha256 != before.stat_sha256
        with pytest.raises(InputError, match="does not exist"):
            remote.remote_state(remote.read_url(f"{url}x"))
        server.shutdown()
    assert "secret" not in f"{url}{url.store}{before}"


def test_a_server_that_is_gone_is_unreachable(monkeypatch):
    pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr(
        remote, "_OPTIONS", {"s3": {"config_kwargs": {"retries": {"max_attempts": 0}}}}
    )
    with pytest.raises(InputError) as caught:
        remote.remote_state(remote.read_url("s3://bucket/slide.png"))
    assert caught.value.code == "storage_unreachable"


def test_the_copy_of_a_killed_run_is_swept_away(tmp_path, store):
    study = write_study(tmp_path / "a", "memory://bucket", ROWS[:1])
    run_study(study, tmp_path / "out")
    left = tmp_path / "out" / ".fibrovol" / "staging" / "inputs-x" / "path"
    left.mkdir(parents=True)
    shutil.copy(tmp_path / "a" / "study.csv", left / "scan.dcm")
    run_study(study, tmp_path / "out")
    assert not left.exists()
