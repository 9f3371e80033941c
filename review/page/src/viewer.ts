// One plane of a scan on a canvas, with the outlines of its labels. Drawn as radiologists look at it:
// the patient's right, or front, is on the left of the picture.

import type { Grid } from "./api.ts";
import { axesOf, LIVER, SPLEEN, type Labels, type Plane } from "./labels.ts";

export interface Scan {
  grid: Grid;
  voxels: Int16Array;
  labels: Labels;
  /** The slice of each plane that came first, before the rest. */
  first: readonly number[];
  /** Whether all grey values and labels are there. */
  whole: boolean;
}

export interface Look {
  level: number;
  width: number;
  outline: "outline" | "fill" | "off";
}

const STYLES = [
  { label: LIVER, colour: "#ff4d3d", dash: [] as number[] },
  { label: SPLEEN, colour: "#5ac8fa", dash: [6, 4] },
];
const ENDS: Record<Plane, [string, string, string, string]> = {
  0: ["A", "P", "S", "I"],
  1: ["R", "L", "S", "I"],
  2: ["R", "L", "A", "P"],
};
const NAMES = ["sagittal", "coronal", "axial"];

export class SliceView {
  readonly canvas: HTMLCanvasElement;
  readonly plane: Plane;
  slice = 0;
  zoom = 1;
  pan: [number, number] = [0, 0];
  pen: { at: [number, number]; radius: number } | null = null;
  title = "";
  private readonly scan: Scan;
  private readonly look: Look;
  private readonly picture = document.createElement("canvas");
  private waiting = false;

  constructor(canvas: HTMLCanvasElement, scan: Scan, plane: Plane, look: Look) {
    this.canvas = canvas;
    this.scan = scan;
    this.plane = plane;
    this.look = look;
    const [a, b] = axesOf(plane);
    this.picture.width = scan.grid.shape[a];
    this.picture.height = scan.grid.shape[b];
    this.slice = scan.first[plane];
    new ResizeObserver(() => {
      this.redraw();
    }).observe(canvas);
  }

  get depth(): number {
    return this.scan.grid.shape[this.plane];
  }

  /** Goes to a slice; outside the scan there is none. */
  go(slice: number): void {
    this.slice = Math.max(0, Math.min(this.depth - 1, Math.round(slice)));
    this.redraw();
  }

  /** Position of the slice along the patient's axis, mm. */
  get position(): number {
    const row = this.scan.grid.affine[this.plane];
    return row[this.plane] * this.slice + row[3];
  }

  goTo(position: number): void {
    const row = this.scan.grid.affine[this.plane];
    this.go((position - row[3]) / row[this.plane]);
  }

  /** Canvas pixels along a millimetre. */
  private get scale(): number {
    const [a, b] = axesOf(this.plane);
    const { shape, spacing_mm: mm } = this.scan.grid;
    const { width, height } = this.canvas;
    return this.zoom * Math.min(width / (shape[a] * mm[a]), height / (shape[b] * mm[b]));
  }

  /** Corner and size of a voxel on the canvas: both axes run against the screen's. */
  private frame(): { x: number; y: number; dx: number; dy: number } {
    const [a, b] = axesOf(this.plane);
    const { shape, spacing_mm: mm } = this.scan.grid;
    const [dx, dy] = [mm[a] * this.scale, mm[b] * this.scale];
    const ratio = devicePixelRatio;
    return {
      x: this.canvas.width / 2 + (shape[a] * dx) / 2 + this.pan[0] * ratio,
      y: this.canvas.height / 2 + (shape[b] * dy) / 2 + this.pan[1] * ratio,
      dx,
      dy,
    };
  }

  /** Voxel coordinates (of voxel centres) under a place on the page. */
  voxelAt(clientX: number, clientY: number): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    const { x, y, dx, dy } = this.frame();
    const px = ((clientX - box.left) * this.canvas.width) / box.width;
    const py = ((clientY - box.top) * this.canvas.height) / box.height;
    return [(x - px) / dx - 0.5, (y - py) / dy - 0.5];
  }

  /** The place on the page of a voxel's centre. */
  placeOf(u: number, v: number): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    const { x, y, dx, dy } = this.frame();
    return [
      box.left + ((x - (u + 0.5) * dx) * box.width) / this.canvas.width,
      box.top + ((y - (v + 0.5) * dy) * box.height) / this.canvas.height,
    ];
  }

  redraw(): void {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  private draw(): void {
    const ratio = devicePixelRatio;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (width === 0 || height === 0) return;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const context = this.canvas.getContext("2d")!;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    if (!this.scan.whole && this.slice !== this.scan.first[this.plane]) {
      this.words(context, ratio);
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText("This slice is still being loaded.", width / 2, height / 2);
      return;
    }
    this.grey();
    const { x, y, dx, dy } = this.frame();
    context.setTransform(-1, 0, 0, -1, x, y);
    context.imageSmoothingEnabled = dx < 4 * ratio;
    const [w, h] = [this.picture.width * dx, this.picture.height * dy];
    context.drawImage(this.picture, 0, 0, w, h);
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (this.look.outline !== "off") for (const style of STYLES) this.organ(context, style);
    this.words(context, ratio);
    if (this.pen) {
      const [u, v] = this.pen.at;
      context.strokeStyle = "#ffd60a";
      context.setLineDash([]);
      context.lineWidth = ratio;
      context.beginPath();
      const radius = Math.max(2 * ratio, this.pen.radius * this.scale);
      context.arc(x - (u + 0.5) * dx, y - (v + 0.5) * dy, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  /** The slice's grey values, windowed, at one pixel a voxel. */
  private grey(): void {
    const { voxels, grid, labels } = this.scan;
    const [a, b] = axesOf(this.plane);
    const stride = labels.strides();
    const [na, nb] = [grid.shape[a], grid.shape[b]];
    const context = this.picture.getContext("2d")!;
    const image = context.createImageData(na, nb);
    const out = new Uint32Array(image.data.buffer);
    const low = (this.look.level - this.look.width / 2 - grid.intercept) / grid.slope;
    const gain = (255 * grid.slope) / Math.max(this.look.width, 1e-9);
    let n = 0;
    for (let j = 0; j < nb; j++) {
      let at = this.slice * stride[this.plane] + j * stride[b];
      for (let i = 0; i < na; i++, at += stride[a]) {
        const grey = Math.max(0, Math.min(255, (voxels[at] - low) * gain)) | 0;
        out[n++] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** An organ in this slice: its outline along the voxels' edges, or filled. */
  private organ(context: CanvasRenderingContext2D, style: (typeof STYLES)[number]): void {
    const { labels, grid } = this.scan;
    const [a, b] = axesOf(this.plane);
    const stride = labels.strides();
    const [na, nb] = [grid.shape[a], grid.shape[b]];
    const { x, y, dx, dy } = this.frame();
    const start = this.slice * stride[this.plane];
    const is = (i: number, j: number) =>
      i >= 0 &&
      j >= 0 &&
      i < na &&
      j < nb &&
      labels.data[start + i * stride[a] + j * stride[b]] === style.label;
    const path = new Path2D();
    const filled = this.look.outline === "fill";
    for (let j = 0; j < nb; j++) {
      for (let i = 0; i < na; i++) {
        if (!is(i, j)) continue;
        const [left, right] = [x - i * dx, x - (i + 1) * dx];
        const [top, bottom] = [y - j * dy, y - (j + 1) * dy];
        if (filled) path.rect(right, bottom, left - right, top - bottom);
        else {
          if (!is(i - 1, j)) segment(path, left, top, left, bottom);
          if (!is(i + 1, j)) segment(path, right, top, right, bottom);
          if (!is(i, j - 1)) segment(path, left, top, right, top);
          if (!is(i, j + 1)) segment(path, left, bottom, right, bottom);
        }
      }
    }
    if (filled) {
      context.fillStyle = style.colour + "59";
      context.fill(path);
    } else {
      context.strokeStyle = style.colour;
      context.lineWidth = 1.5 * devicePixelRatio;
      context.setLineDash(dx < 3 ? [] : style.dash);
      // the spleen is thinner and broken: distinct from the liver in grey, too
      if (style.label === SPLEEN) context.lineWidth = devicePixelRatio;
      context.stroke(path);
    }
  }

  private words(context: CanvasRenderingContext2D, ratio: number): void {
    const { width, height } = this.canvas;
    const [left, right, top, bottom] = ENDS[this.plane];
    context.fillStyle = "#fff";
    context.strokeStyle = "#000";
    context.lineWidth = 3 * ratio;
    context.lineJoin = "round";
    context.setLineDash([]);
    // white with a dark rim: it is read over air and over bone
    const put = (text: string, x: number, y: number) => {
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    };
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    const edge = 6 * ratio;
    context.textBaseline = "top";
    context.textAlign = "left";
    const where = `${NAMES[this.plane]} ${this.slice + 1} of ${this.depth}`;
    put(`${this.title}${where}, ${this.position.toFixed(1)} mm`, edge, edge);
    context.textBaseline = "middle";
    put(left, edge, height / 2);
    context.textAlign = "right";
    put(right, width - edge, height / 2);
    context.textAlign = "center";
    context.textBaseline = "top";
    put(top, width / 2, edge + 14 * ratio);
    context.textBaseline = "bottom";
    put(bottom, width / 2, height - edge);
    const bar = 50 * this.scale;
    context.fillRect(edge, height - 8 * ratio, bar, 2 * ratio);
    context.textAlign = "left";
    put("50 mm", edge, height - 10 * ratio);
  }
}

function segment(path: Path2D, x0: number, y0: number, x1: number, y1: number): void {
  path.moveTo(x0, y0);
  path.lineTo(x1, y1);
}
