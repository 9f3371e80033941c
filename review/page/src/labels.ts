// Labels of a scan and everything that changes them: brush, eraser, fill, interpolation, undo, redo.
// Pure: no browser in here. The grid runs along R, A, S; index = i + nx * (j + ny * k).

export const NOTHING = 0;
export const LIVER = 1;
export const SPLEEN = 2;

export type Triple = readonly [number, number, number];

/** The axis across a plane: 0 sagittal, 1 coronal, 2 axial. */
export type Plane = 0 | 1 | 2;

interface Change {
  index: Uint32Array;
  before: Uint8Array;
  after: Uint8Array;
  /** Drawn by hand: interpolation fills in the slices between such ones. */
  byHand: boolean;
}

/** The two axes that a plane shows, the lower one first. */
export function axesOf(plane: Plane): [number, number] {
  return plane === 0 ? [1, 2] : plane === 1 ? [0, 2] : [0, 1];
}

/** Writes a slice, its lower axis first, into a grid that runs along R, A, S. */
export function placeSlice(
  grid: Uint8Array | Int16Array,
  values: Uint8Array | Int16Array,
  shape: Triple,
  plane: Plane,
  slice: number,
): void {
  const [a, b] = axesOf(plane);
  const stride = [1, shape[0], shape[0] * shape[1]];
  for (let y = 0, n = 0; y < shape[b]; y++) {
    let at = slice * stride[plane] + y * stride[b];
    for (let x = 0; x < shape[a]; x++, at += stride[a]) grid[at] = values[n++];
  }
}

export class Labels {
  readonly data: Uint8Array;
  readonly shape: Triple;
  readonly spacing: Triple;
  /** What is painted; other organs keep their voxels. */
  organ = LIVER;
  /** Voxels of each label. */
  readonly counts = [0, 0, 0];
  private done: Change[] = [];
  private undone: Change[] = [];
  private open: Map<number, number> | null = null;

  constructor(data: Uint8Array, shape: Triple, spacing: Triple) {
    if (data.length !== shape[0] * shape[1] * shape[2]) {
      throw new Error(`${data.length} labels for a scan of ${shape.join(" x ")} voxels`);
    }
    this.data = data;
    this.shape = shape;
    this.spacing = spacing;
    const aligned = data.byteOffset % 4 === 0;
    const words = new Uint32Array(data.buffer, aligned ? data.byteOffset : 0, aligned ? data.length >> 2 : 0);
    let at = 0;
    // most of a scan is no organ: four voxels at a time
    for (const many = words.length; at < 4 * many; at += 4) {
      if (words[at >> 2] === 0) this.counts[NOTHING] += 4;
      else for (let n = at; n < at + 4; n++) this.count(data[n]);
    }
    for (; at < data.length; at++) this.count(data[at]);
  }

  private count(label: number): void {
    if (label > SPLEEN) throw new Error(`a label that does not exist: ${label}`);
    this.counts[label]++;
  }

  strides(): Triple {
    return [1, this.shape[0], this.shape[0] * this.shape[1]];
  }

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  /** The last change that is not undone, null before any: the labels depend on it. */
  get top(): object | null {
    return this.done.at(-1) ?? null;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  /** Starts a stroke: all until `end` is one step of undo. */
  begin(): void {
    this.open ??= new Map();
  }

  /** Ends a stroke; whether it changed anything. */
  end(byHand = true): boolean {
    const open = this.open;
    this.open = null;
    if (!open) return false;
    const index: number[] = [];
    for (const [at, before] of open) if (this.data[at] !== before) index.push(at);
    if (index.length === 0) return false;
    index.sort((a, b) => a - b);
    this.done.push({
      index: Uint32Array.from(index),
      before: Uint8Array.from(index, (at) => open.get(at)!),
      after: Uint8Array.from(index, (at) => this.data[at]),
      byHand,
    });
    this.undone = [];
    return true;
  }

  undo(): boolean {
    const change = this.done.pop();
    if (!change) return false;
    this.apply(change.index, change.before);
    this.undone.push(change);
    return true;
  }

  redo(): boolean {
    const change = this.undone.pop();
    if (!change) return false;
    this.apply(change.index, change.after);
    this.done.push(change);
    return true;
  }

  /** Takes other labels as a whole, such as those of a draft: one step of undo. */
  replace(data: Uint8Array): void {
    if (data.length !== this.data.length) throw new Error("labels of another scan");
    this.begin();
    for (let at = 0; at < data.length; at++) {
      if (data[at] === this.data[at]) continue;
      if (data[at] > SPLEEN) throw new Error(`a label that does not exist: ${data[at]}`);
      this.open!.set(at, this.data[at]);
      this.put(at, data[at]);
    }
    this.end();
  }

  private apply(index: Uint32Array, values: Uint8Array): void {
    for (let n = 0; n < index.length; n++) this.put(index[n], values[n]);
  }

  private put(at: number, label: number): void {
    this.counts[this.data[at]]--;
    this.counts[label]++;
    this.data[at] = label;
  }

  /** Gives a voxel to the organ or takes it away; a voxel of another organ stays as it is. */
  private set(at: number, erase: boolean): void {
    const before = this.data[at];
    if (erase ? before !== this.organ : before !== NOTHING) return;
    if (!this.open) throw new Error("no stroke was begun");
    if (!this.open.has(at)) this.open.set(at, before);
    this.put(at, erase ? NOTHING : this.organ);
  }

  /** A round dab in a plane: voxels whose centre lies within `radius` mm of (u, v), in voxels. */
  dab(plane: Plane, slice: number, u: number, v: number, radius: number, erase: boolean): void {
    const [a, b] = axesOf(plane);
    const stride = this.strides();
    const [du, dv] = [this.spacing[a], this.spacing[b]];
    const lowest = (centre: number, step: number) => Math.max(0, Math.ceil(centre - radius / step));
    const highest = (centre: number, step: number, n: number) =>
      Math.min(n - 1, Math.floor(centre + radius / step));
    // the voxel under the pen is always in, however thin the brush
    const own = [Math.round(u), Math.round(v)];
    const inside = own[0] >= 0 && own[1] >= 0 && own[0] < this.shape[a] && own[1] < this.shape[b];
    if (inside) this.set(own[0] * stride[a] + own[1] * stride[b] + slice * stride[plane], erase);
    for (let y = lowest(v, dv); y <= highest(v, dv, this.shape[b]); y++) {
      for (let x = lowest(u, du); x <= highest(u, du, this.shape[a]); x++) {
        if (((x - u) * du) ** 2 + ((y - v) * dv) ** 2 > radius * radius) continue;
        this.set(x * stride[a] + y * stride[b] + slice * stride[plane], erase);
      }
    }
  }

  /** Dabs along a line, close enough to leave no gap. */
  line(
    plane: Plane,
    slice: number,
    from: readonly [number, number],
    to: readonly [number, number],
    radius: number,
    erase: boolean,
  ): void {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let n = 0; n <= steps; n++) {
      const share = n / steps;
      const u = from[0] + share * (to[0] - from[0]);
      const v = from[1] + share * (to[1] - from[1]);
      this.dab(plane, slice, u, v, radius, erase);
    }
  }

  /** Fills the closed hole round (u, v); false, and nothing changed, where it is open. */
  fill(plane: Plane, slice: number, u: number, v: number): boolean {
    const [a, b] = axesOf(plane);
    const [na, nb] = [this.shape[a], this.shape[b]];
    const stride = this.strides();
    const at = (x: number, y: number) => x * stride[a] + y * stride[b] + slice * stride[plane];
    const seen = new Uint8Array(na * nb);
    const waiting = [[Math.round(u), Math.round(v)]];
    const [x0, y0] = waiting[0];
    if (x0 < 0 || y0 < 0 || x0 >= na || y0 >= nb || this.data[at(x0, y0)] !== NOTHING) return false;
    const hole: number[] = [];
    seen[x0 + na * y0] = 1;
    while (waiting.length > 0) {
      const [x, y] = waiting.pop()!;
      if (x === 0 || y === 0 || x === na - 1 || y === nb - 1) return false;
      hole.push(at(x, y));
      for (const [p, q] of [
        [x + 1, y],
        [x - 1, y],
        [x, y + 1],
        [x, y - 1],
      ]) {
        const place = p + na * q;
        if (seen[place] || this.data[at(p, q)] !== NOTHING) continue;
        seen[place] = 1;
        waiting.push([p, q]);
      }
    }
    this.begin();
    for (const voxel of hole) this.set(voxel, false);
    return this.end();
  }

  /** The labels of a slice, the lower axis first. */
  sliceOf(plane: Plane, slice: number): Uint8Array {
    const [a, b] = axesOf(plane);
    const [na, nb] = [this.shape[a], this.shape[b]];
    const stride = this.strides();
    const out = new Uint8Array(na * nb);
    for (let y = 0, n = 0; y < nb; y++) {
      for (let x = 0; x < na; x++, n++) {
        out[n] = this.data[x * stride[a] + y * stride[b] + slice * stride[plane]];
      }
    }
    return out;
  }

  /** Whether the organ was in a slice before anything was painted. */
  hadOutline(plane: Plane, slice: number, organ: number): boolean {
    const [a, b] = axesOf(plane);
    const stride = this.strides();
    const first = new Map<number, number>();
    for (const change of this.done) {
      for (let n = 0; n < change.index.length; n++) {
        const at = change.index[n];
        if (Math.floor(at / stride[plane]) % this.shape[plane] !== slice) continue;
        if (!first.has(at)) first.set(at, change.before[n]);
      }
    }
    for (let y = 0; y < this.shape[b]; y++) {
      for (let x = 0; x < this.shape[a]; x++) {
        const at = x * stride[a] + y * stride[b] + slice * stride[plane];
        if ((first.get(at) ?? this.data[at]) === organ) return true;
      }
    }
    return false;
  }

  /** Gives the organ what is set of a slice; other organs keep theirs. Whether anything changed. */
  addSlice(plane: Plane, slice: number, organ: number, set: Uint8Array): boolean {
    const [a, b] = axesOf(plane);
    const [na, nb] = [this.shape[a], this.shape[b]];
    if (set.length !== na * nb) throw new Error("a slice of another scan");
    const stride = this.strides();
    const before = this.organ;
    this.organ = organ;
    this.begin();
    for (let y = 0, n = 0; y < nb; y++) {
      for (let x = 0; x < na; x++, n++) {
        if (set[n]) this.set(x * stride[a] + y * stride[b] + slice * stride[plane], false);
      }
    }
    this.organ = before;
    return this.end();
  }

  /** Axial slices drawn by hand since the page was loaded, undone strokes left out. */
  drawnSlices(): number[] {
    const area = this.shape[0] * this.shape[1];
    const found = new Set<number>();
    for (const change of this.done) {
      if (change.byHand) for (const at of change.index) found.add(Math.floor(at / area));
    }
    return [...found].sort((one, two) => one - two);
  }

  /**
   * Draws the axial slices between those drawn by hand, from the distance to their outlines (Raya
   * and Udupa, IEEE Trans Med Imaging 1990, 9:32-42). One step of undo; other organs stay.
   * Returns how many slices were drawn.
   */
  interpolate(): number {
    const area = this.shape[0] * this.shape[1];
    const keys = this.drawnSlices().filter((k) => this.has(k));
    let drawn = 0;
    this.begin();
    for (let n = 0; n + 1 < keys.length; n++) {
      const [low, high] = [keys[n], keys[n + 1]];
      if (high - low < 2) continue;
      const below = this.distance(low);
      const above = this.distance(high);
      for (let k = low + 1; k < high; k++) {
        const share = (k - low) / (high - low);
        for (let at = 0; at < area; at++) {
          const inside = (1 - share) * below[at] + share * above[at] < 0;
          this.set(k * area + at, !inside);
        }
        drawn++;
      }
    }
    this.end(false);
    return drawn;
  }

  private has(k: number): boolean {
    const area = this.shape[0] * this.shape[1];
    return this.data.subarray(k * area, (k + 1) * area).includes(this.organ);
  }

  /** Signed distance in mm to the organ's outline in an axial slice, negative inside. */
  private distance(k: number): Float32Array {
    const [nx, ny] = this.shape;
    const inside = new Uint8Array(nx * ny);
    for (let at = 0; at < inside.length; at++) {
      inside[at] = this.data[k * nx * ny + at] === this.organ ? 1 : 0;
    }
    const to = distanceTo(inside, 1, nx, ny, this.spacing[0], this.spacing[1]);
    const from = distanceTo(inside, 0, nx, ny, this.spacing[0], this.spacing[1]);
    return to.map((mm, at) => mm - from[at]);
  }
}

/** Exact distance in mm of every pixel to the nearest one of a value (Felzenszwalb, 2012). */
export function distanceTo(
  picture: Uint8Array,
  value: number,
  nx: number,
  ny: number,
  dx: number,
  dy: number,
): Float32Array {
  const FAR = 1e12;
  const square = new Float64Array(nx * ny);
  for (let at = 0; at < square.length; at++) square[at] = picture[at] === value ? 0 : FAR;
  const size = Math.max(nx, ny);
  const line = new Float64Array(size);
  const place = new Int32Array(size);
  const border = new Float64Array(size + 1);
  const pass = (start: number, step: number, n: number, spacing: number) => {
    for (let i = 0; i < n; i++) line[i] = square[start + i * step];
    let last = 0;
    place[0] = 0;
    border[0] = -Infinity;
    border[1] = Infinity;
    const meet = (p: number, q: number) =>
      (line[q] / spacing ** 2 + q * q - line[p] / spacing ** 2 - p * p) / (2 * q - 2 * p);
    for (let q = 1; q < n; q++) {
      let crossing = meet(place[last], q);
      while (crossing <= border[last]) crossing = meet(place[--last], q);
      place[++last] = q;
      border[last] = crossing;
      border[last + 1] = Infinity;
    }
    last = 0;
    for (let q = 0; q < n; q++) {
      while (border[last + 1] < q) last++;
      square[start + q * step] = ((q - place[last]) * spacing) ** 2 + line[place[last]];
    }
  };
  for (let x = 0; x < nx; x++) pass(x, nx, ny, dy);
  for (let y = 0; y < ny; y++) pass(y * nx, 1, nx, dx);
  return Float32Array.from(square, (mm2) => Math.sqrt(Math.min(mm2, FAR)));
}
