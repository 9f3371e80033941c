import assert from "node:assert/strict";
import { test } from "node:test";
import { Labels, LIVER, NOTHING, SPLEEN, distanceTo, placeSlice, type Triple } from "../src/labels.ts";

function empty(shape: Triple, spacing: Triple = [1, 1, 1]): Labels {
  return new Labels(new Uint8Array(shape[0] * shape[1] * shape[2]), shape, spacing);
}

function ellipsoid(labels: Labels, k: number): void {
  const [nx, ny, nz] = labels.shape;
  labels.begin();
  for (let j = 0; j < ny; j++) {
    for (let i = 0; i < nx; i++) {
      const r =
        ((i - nx / 2) / (0.4 * nx)) ** 2 +
        ((j - ny / 2) / (0.3 * ny)) ** 2 +
        ((k - nz / 2) / (0.42 * nz)) ** 2;
      if (r <= 1) labels.dab(2, k, i, j, 0, false);
    }
  }
  labels.end();
}

test("every fourth slice of an ellipsoid drawn: the volume is within 2 %", () => {
  const shape: Triple = [120, 100, 64];
  const truth = empty(shape, [0.8, 0.8, 2.5]);
  for (let k = 0; k < shape[2]; k++) ellipsoid(truth, k);
  const labels = empty(shape, [0.8, 0.8, 2.5]);
  const first = truth.data.indexOf(LIVER);
  for (let k = Math.floor(first / 12000); k < shape[2]; k += 4) ellipsoid(labels, k);
  assert.ok(labels.interpolate() > 30);
  const off = labels.counts[LIVER] / truth.counts[LIVER] - 1;
  assert.ok(Math.abs(off) < 0.02, `${(100 * off).toFixed(2)} %`);
});

test("interpolation leaves another organ's slice alone, and one undo takes it back", () => {
  const labels = empty([40, 40, 12]);
  labels.organ = SPLEEN;
  labels.begin();
  labels.dab(2, 6, 20, 20, 6, false);
  labels.end();
  const spleen = labels.counts[SPLEEN];
  labels.organ = LIVER;
  for (const k of [4, 8]) {
    labels.begin();
    labels.dab(2, k, 20, 20, 12, false);
    labels.end();
  }
  const before = labels.data.slice();
  assert.equal(labels.interpolate(), 3);
  assert.equal(labels.counts[SPLEEN], spleen);
  assert.ok(labels.data.subarray(1600 * 6, 1600 * 7).includes(LIVER));
  labels.undo();
  assert.deepEqual(labels.data, before);
});

test("20 strokes, 21 undos, 21 redos: the same labels", () => {
  const labels = empty([64, 64, 4], [0.7, 0.7, 5]);
  for (let n = 0; n < 20; n++) {
    labels.begin();
    labels.line(2, n % 4, [n * 3, 5], [60 - n, 60], 2 + (n % 5), n % 7 === 6);
    labels.end();
  }
  const painted = labels.data.slice();
  for (let n = 0; n < 21; n++) labels.undo();
  assert.ok(labels.data.every((label) => label === NOTHING));
  assert.deepEqual(labels.counts, [64 * 64 * 4, 0, 0]);
  for (let n = 0; n < 21; n++) labels.redo();
  assert.deepEqual(labels.data, painted);
});

test("the brush is round in millimetres, and stays within its organ", () => {
  const labels = empty([60, 60, 3], [1, 2, 5]);
  labels.organ = SPLEEN;
  labels.begin();
  labels.dab(2, 1, 30, 30, 4, false);
  labels.end();
  const spleen = labels.counts[SPLEEN];
  assert.equal(spleen, countDisc(4, 1, 2));
  labels.organ = LIVER;
  labels.begin();
  labels.line(2, 1, [10, 30], [50, 30], 5, false);
  labels.line(2, 1, [10, 30], [50, 30], 5, true);
  labels.end();
  assert.equal(labels.counts[SPLEEN], spleen);
  assert.equal(labels.counts[LIVER], 0);
});

function countDisc(radius: number, dx: number, dy: number): number {
  let n = 0;
  for (let y = -20; y <= 20; y++)
    for (let x = -20; x <= 20; x++) if ((x * dx) ** 2 + (y * dy) ** 2 <= radius ** 2) n++;
  return n;
}

test("a stroke may start and end outside of the scan, in every plane", () => {
  for (const plane of [0, 1, 2] as const) {
    const labels = empty([20, 30, 40]);
    labels.begin();
    labels.line(plane, 3, [-5, -5], [60, 60], 2, false);
    assert.ok(labels.end());
    const [nx, ny] = labels.shape;
    labels.data.forEach((label, at) => {
      const place = [at % nx, Math.floor(at / nx) % ny, Math.floor(at / (nx * ny))];
      if (label) assert.equal(place[plane], 3);
    });
  }
});

test("a closed hole is filled, an open one is not", () => {
  const labels = empty([40, 40, 1]);
  labels.begin();
  labels.dab(2, 0, 20, 20, 12, false);
  labels.end();
  labels.begin();
  labels.dab(2, 0, 20, 20, 6, true);
  labels.end();
  const full = countDisc(12, 1, 1);
  assert.ok(labels.fill(2, 0, 20, 20));
  assert.equal(labels.counts[LIVER], full);
  assert.equal(labels.fill(2, 0, 1, 1), false);
  assert.equal(labels.counts[LIVER], full);
});

test("distances are exact", () => {
  const nx = 17;
  const ny = 13;
  const picture = new Uint8Array(nx * ny);
  for (const [x, y] of [
    [3, 4],
    [12, 9],
    [16, 0],
  ])
    picture[x + nx * y] = 1;
  const found = distanceTo(picture, 1, nx, ny, 0.8, 1.7);
  for (let y = 0; y < ny; y++)
    for (let x = 0; x < nx; x++) {
      const truth = Math.min(
        Math.hypot((x - 3) * 0.8, (y - 4) * 1.7),
        Math.hypot((x - 12) * 0.8, (y - 9) * 1.7),
        Math.hypot((x - 16) * 0.8, y * 1.7),
      );
      assert.ok(Math.abs(found[x + nx * y] - truth) < 1e-5);
    }
});

test("labels that do not exist, or of another size, are refused", () => {
  assert.throws(() => new Labels(new Uint8Array(7), [2, 2, 2], [1, 1, 1]));
  assert.throws(() => new Labels(new Uint8Array(8).fill(44), [2, 2, 2], [1, 1, 1]));
});

test("labels are counted right wherever they start in a buffer, and a strange one is refused", () => {
  for (const from of [0, 1, 4, 7]) {
    const whole = new Uint8Array(64);
    const data = new Uint8Array(whole.buffer, from, 3 * 3 * 5);
    data.set([1, 2, 2], 11);
    data[44] = 1;
    assert.deepEqual(new Labels(data, [3, 3, 5], [1, 1, 1]).counts, [41, 2, 2]);
    data[43] = 3;
    assert.throws(() => new Labels(data, [3, 3, 5], [1, 1, 1]), /does not exist/);
  }
});

test("a slice goes where sliceOf takes it from", () => {
  const shape: Triple = [4, 3, 5];
  for (const plane of [0, 1, 2] as const) {
    const labels = empty(shape);
    const values = Uint8Array.from({ length: 60 / shape[plane] }, (_, n) => n % 3);
    placeSlice(labels.data, values, shape, plane, 2);
    assert.deepEqual(labels.sliceOf(plane, 2), values);
    assert.deepEqual(labels.sliceOf(plane, 1), new Uint8Array(values.length));
  }
});

test("a slice that is only painted had no outline, in any plane, whatever was undone", () => {
  const labels = empty([8, 8, 8]);
  labels.data[3 + 8 * (3 + 8 * 3)] = LIVER;
  const loaded = new Labels(labels.data.slice(), labels.shape, labels.spacing);
  loaded.begin();
  loaded.dab(2, 5, 5, 5, 1, false);
  loaded.end();
  loaded.begin();
  loaded.dab(2, 3, 3, 3, 0, true); // rubbed out: it was there all the same
  loaded.end();
  for (const plane of [0, 1, 2] as const) {
    assert.equal(loaded.hadOutline(plane, 5, LIVER), false);
    assert.equal(loaded.hadOutline(plane, 3, LIVER), true);
    assert.equal(loaded.hadOutline(plane, 3, SPLEEN), false);
  }
  loaded.undo();
  loaded.undo();
  assert.equal(loaded.hadOutline(2, 3, LIVER), true);
  assert.equal(loaded.hadOutline(2, 5, LIVER), false);
});
