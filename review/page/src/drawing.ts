// Drawing areas on a slide: an SVG layer on OpenSeadragon's own coordinates, so that nothing drifts.

import OpenSeadragon from "openseadragon";
import type { Corner, Drawing, Kind } from "./shapes.ts";

export type SlideTool = "look" | "polygon" | "freehand" | "white";

const SVG = "http://www.w3.org/2000/svg";
/** Screen pixels within which a click on the first corner closes a polygon. */
const CLOSE_PX = 8;
/** Screen pixels between two corners of a freehand line. */
const STEP_PX = 2;

interface Hooks {
  /** A closed area. */
  area: (kind: Kind, corners: Corner[]) => void;
  /** A place of empty glass. */
  white: (x: number, y: number) => void;
}

export class DrawingLayer {
  tool: SlideTool = "look";
  kind: Kind = "out";
  private readonly viewer: OpenSeadragon.Viewer;
  private readonly image: OpenSeadragon.TiledImage;
  private readonly hooks: Hooks;
  private readonly svg = document.createElementNS(SVG, "svg");
  private drawing: Drawing = { shapes: [], white: null };
  private open: Corner[] = [];
  private freehand = false;

  constructor(viewer: OpenSeadragon.Viewer, image: OpenSeadragon.TiledImage, hooks: Hooks) {
    this.viewer = viewer;
    this.image = image;
    this.hooks = hooks;
    this.svg.setAttribute("class", "drawing");
    this.svg.setAttribute("role", "img");
    this.svg.setAttribute("aria-label", "Areas drawn on the slide");
    viewer.canvas.append(this.svg);
    for (const name of ["update-viewport", "resize", "open"] as const) {
      viewer.addHandler(name, () => {
        this.draw();
      });
    }
    this.svg.addEventListener("pointerdown", (event) => {
      this.down(event);
    });
    this.svg.addEventListener("pointermove", (event) => {
      this.move(event);
    });
    this.svg.addEventListener("pointerup", (event) => {
      this.up(event);
    });
    this.svg.addEventListener("dblclick", (event) => {
      event.stopPropagation();
      this.close();
    });
  }

  show(drawing: Drawing): void {
    this.drawing = drawing;
    this.draw();
  }

  setTool(tool: SlideTool): void {
    this.tool = tool;
    this.open = [];
    this.svg.dataset.tool = tool;
    this.draw();
  }

  get isOpen(): boolean {
    return this.open.length > 0;
  }

  /** By keyboard: a corner, or the white, at the cross in the middle; the same place twice closes. */
  atCross(): void {
    const middle = this.viewer.viewport.getCenter(true);
    const at = this.image.viewportToImageCoordinates(middle);
    if (this.tool === "white") {
      this.hooks.white(at.x, at.y);
      return;
    }
    const last = this.open.at(-1);
    const place = this.toScreen([at.x, at.y]);
    const before = last && this.toScreen(last);
    if (before && Math.hypot(place[0] - before[0], place[1] - before[1]) < 1) this.close();
    else this.open.push([at.x, at.y]);
    this.draw();
  }

  /** Takes the last corner back; whether there was one. */
  back(): boolean {
    const had = this.open.pop() !== undefined;
    this.draw();
    return had;
  }

  /** Gives up the area that is being drawn. */
  cancel(): void {
    this.open = [];
    this.freehand = false;
    this.draw();
  }

  close(): void {
    const corners = this.open;
    this.cancel();
    if (corners.length > 0) this.hooks.area(this.kind, corners);
  }

  private down(event: PointerEvent): void {
    if (this.tool === "look" || event.button !== 0) return;
    event.stopPropagation();
    event.preventDefault();
    const at = this.placeOf(event);
    if (this.tool === "white") {
      this.hooks.white(at[0], at[1]);
      return;
    }
    if (this.tool === "freehand") {
      this.svg.setPointerCapture(event.pointerId);
      this.freehand = true;
      this.open = [at];
    } else {
      const first = this.open.at(0);
      const [x, y] = this.screenOf(event);
      const close = first && this.toScreen(first);
      if (close && this.open.length > 2 && Math.hypot(x - close[0], y - close[1]) < CLOSE_PX) {
        this.close();
      } else this.open.push(at);
    }
    this.draw();
  }

  private move(event: PointerEvent): void {
    if (this.tool === "look") return;
    event.stopPropagation();
    if (!this.freehand) return;
    const [x, y] = this.screenOf(event);
    const last = this.toScreen(this.open.at(-1)!);
    if (Math.hypot(x - last[0], y - last[1]) < STEP_PX) return;
    this.open.push(this.placeOf(event));
    this.draw();
  }

  private up(event: PointerEvent): void {
    if (this.tool === "look") return;
    event.stopPropagation();
    if (!this.freehand) return;
    this.freehand = false;
    this.close();
  }

  private screenOf(event: PointerEvent): Corner {
    const box = this.svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** The place on the slide under the pointer, in pixels of the finest level. */
  private placeOf(event: PointerEvent): Corner {
    const [x, y] = this.screenOf(event);
    const at = this.image.viewerElementToImageCoordinates(new OpenSeadragon.Point(x, y));
    return [at.x, at.y];
  }

  private toScreen(corner: Corner): Corner {
    const at = this.image.imageToViewerElementCoordinates(
      new OpenSeadragon.Point(corner[0], corner[1]),
    );
    return [at.x, at.y];
  }

  private draw(): void {
    const { shapes } = this.drawing;
    this.svg.replaceChildren(
      ...shapes.map((area) => this.path(area.corners, `area ${area.kind}`, true)),
    );
    if (this.open.length > 0) {
      this.svg.append(this.path(this.open, `area open ${this.kind}`, false));
      const [x, y] = this.toScreen(this.open[0]);
      const dot = document.createElementNS(SVG, "circle");
      for (const [name, value] of Object.entries({ cx: x, cy: y, r: 5, class: "corner" })) {
        dot.setAttribute(name, String(value));
      }
      this.svg.append(dot);
    }
    if (this.tool !== "look") this.svg.append(this.cross());
  }

  private path(corners: readonly Corner[], name: string, closed: boolean): SVGPathElement {
    const path = document.createElementNS(SVG, "path");
    const points = corners.map((corner) => this.toScreen(corner).map((v) => v.toFixed(2)).join(" "));
    path.setAttribute("d", `M${points.join("L")}${closed ? "Z" : ""}`);
    path.setAttribute("class", name);
    // what an outline that crosses itself covers is decided the same way when it is measured
    path.setAttribute("fill-rule", "evenodd");
    return path;
  }

  private cross(): SVGPathElement {
    const path = document.createElementNS(SVG, "path");
    const { clientWidth: width, clientHeight: height } = this.svg;
    path.setAttribute("d", `M${width / 2 - 9} ${height / 2}h18M${width / 2} ${height / 2 - 9}v18`);
    path.setAttribute("class", "cross");
    return path;
  }
}
