// A slide at full resolution by tiles, collagen and tissue as layers, both visits at one scale.

import OpenSeadragon from "openseadragon";
import { addressOf, caseKey, get, path, stayAlive, type Case } from "./api.ts";
import { byId, format, h, isTyping, refuseDrops, say } from "./dom.ts";
import { showHeader } from "./header.ts";
import { SlideCorrection } from "./correct_slide.ts";
import { VerdictForm } from "./verdict.ts";

interface Info {
  width: number;
  height: number;
  tile: number;
  mpp_um: number;
  layers: string[];
  mask_width: number;
  mask_px: [number, number];
  mask_sha256: string;
}

const PICTURE = "picture";

class Pane {
  readonly viewer: OpenSeadragon.Viewer;
  info: Info;
  private of: Case;
  private readonly layers = new Map<string, OpenSeadragon.TiledImage>();
  /** Layers with a missing tile. */
  readonly broken = new Set<string>();

  constructor(element: HTMLElement, of: Case, info: Info) {
    this.of = of;
    this.info = info;
    this.viewer = OpenSeadragon({
      element,
      prefixUrl: "/static/",
      drawer: "canvas",
      showNavigationControl: false,
      showNavigator: false,
      animationTime: 0.2,
      maxZoomPixelRatio: 4,
      tileRetryMax: 2,
      tileRetryDelay: 300,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    });
    this.viewer.addHandler("tile-load-failed", (event) => {
      const source = (event as unknown as { tiledImage?: OpenSeadragon.TiledImage }).tiledImage;
      for (const [name, image] of this.layers) if (image === source) this.broken.add(name);
      warn();
    });
  }

  /** Adds the picture or a layer; resolves when the viewer has it. */
  add(layer: string): Promise<void> {
    const { info } = this;
    const mask = layer !== PICTURE;
    const [width, height] = mask ? info.mask_px : [info.width, info.height];
    const base = path("slides", this.of.key, `/${info.mask_sha256 || "none"}/${layer}`);
    return new Promise((resolve, reject) => {
      this.viewer.addTiledImage({
        tileSource: {
          width,
          height,
          tileSize: info.tile,
          getTileUrl: (level: number, x: number, y: number) => `${base}/${level}/${x}/${y}`,
        },
        x: 0,
        y: 0,
        width: mask ? info.mask_width / info.width : 1,
        success: (event) => {
          this.layers.set(layer, (event as unknown as { item: OpenSeadragon.TiledImage }).item);
          resolve();
        },
        error: () => {
          reject(new Error(`the ${layer} cannot be shown`));
        },
      });
    });
  }

  /** Shows or hides a layer; a hidden one is not requested. */
  async show(layer: string, on: boolean): Promise<void> {
    const image = this.layers.get(layer);
    if (on && !image) await this.add(layer);
    else if (!on && image) {
      this.viewer.world.removeItem(image);
      this.layers.delete(layer);
      this.broken.delete(layer);
      warn();
    }
  }

  /** Shows the layers of what the case was measured with again. */
  async renew(of: Case): Promise<void> {
    const info = await infoOf(of);
    const shown = [...this.layers.keys()].filter((layer) => layer !== PICTURE);
    for (const layer of shown) await this.show(layer, false);
    this.of = of;
    this.info = info;
    for (const layer of shown) await this.show(layer, true);
  }

  get picture(): OpenSeadragon.TiledImage {
    return this.layers.get(PICTURE)!;
  }

  /** Screen pixels along a millimetre. */
  get scale(): number {
    const image = this.layers.get(PICTURE)!;
    return (image.viewportToImageZoom(this.viewer.viewport.getZoom()) * 1000) / this.info.mpp_um;
  }

  /** Takes another pane's scale. */
  takeScale(scale: number): void {
    const image = this.layers.get(PICTURE)!;
    const zoom = image.imageToViewportZoom((scale * this.info.mpp_um) / 1000);
    this.viewer.viewport.zoomTo(zoom, undefined, true);
  }
}

let one: Case;
let form: VerdictForm;
let panes: Pane[] = [];
let leading = false;
let correction: SlideCorrection | null = null;

function header(): void {
  showHeader(one, "% collagen", { value: 2, limits: 2 });
  byId("visits").replaceChildren(
    ...one.visits.flatMap((visit) => [
      h(
        "button",
        { type: "button", click: () => void openBeside(visit.key) },
        `Compare with ${visit.timepoint}`,
      ),
      h("a", { href: addressOf({ key: visit.key, kind: "slide" }) }, `Read ${visit.timepoint}`),
    ]),
  );
}

/** A missing tile is not empty tissue: say so, and take no verdict. */
function warn(): void {
  const broken = panes.length > 0 && panes[0].broken.size > 0;
  const anywhere = panes.some((pane) => pane.broken.size > 0);
  if (anywhere) say("Part of the picture or of a layer could not be loaded.", "error");
  if (broken) form.hinder("No verdict: part of what is shown could not be loaded.");
  else hinder();
}

/** A verdict is on what is saved. */
function hinder(): void {
  if (panes.length === 0 || panes[0].broken.size > 0) return;
  form.hinder(correction?.isChanged ? "Save or undo your changes first." : "");
}

async function infoOf(of: Case): Promise<Info> {
  const info = await get<Info>(path("slides", of.key, "/info"));
  if (info.mask_sha256 !== of.mask_sha256) throw new Error("The case changed: load the page again.");
  return info;
}

async function openPane(place: string, of: Case): Promise<Pane> {
  const info = await infoOf(of);
  const pane = new Pane(byId(place), of, info);
  await pane.add(PICTURE);
  for (const layer of info.layers) {
    const box = byId(`layer-${layer}`) as HTMLInputElement;
    if (box.checked) await pane.add(layer);
  }
  pane.viewer.addHandler("zoom", () => {
    if (leading) return;
    leading = true;
    for (const other of panes) if (other !== pane) other.takeScale(pane.scale);
    leading = false;
    scaleBar();
  });
  return pane;
}

async function openBeside(key: string): Promise<void> {
  try {
    const its = await get<Case>(path("cases", key));
    byId("slides").classList.add("two");
    for (const pane of panes.splice(1)) pane.viewer.destroy();
    const pane = await openPane("slide-other", its);
    panes.push(pane);
    pane.takeScale(panes[0].scale);
    byId("other-name").textContent =
      `Right: ${its.timepoint}, ${format(its.value, 2)} % collagen, at the same scale.`;
  } catch (error) {
    say(`The other visit cannot be shown: ${(error as Error).message}`, "error");
  }
}

function scaleBar(): void {
  const nice = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
  const scale = panes[0].scale;
  const mm = nice.find((each) => each * scale > 80) ?? 20;
  const bar = byId("bar") as unknown as SVGRectElement;
  bar.setAttribute("width", String(Math.round(mm * scale)));
  byId("bar-text").textContent = mm < 1 ? `${mm * 1000} µm` : `${mm} mm`;
}

async function load(): Promise<void> {
  one = await get<Case>(path("cases", caseKey()));
  form = new VerdictForm(one, (now) => {
    one = now;
    header();
  });
  header();
  form.hinder("The slide is being loaded.");
  try {
    panes = [await openPane("slide", one)];
    form.hinder("");
    scaleBar();
    correction = await SlideCorrection.start(one, panes[0].viewer, panes[0].picture, {
      saved: async (now) => {
        one = now;
        form.show(one);
        header();
        await panes[0].renew(one);
      },
      changed: hinder,
    });
  } catch (error) {
    say(`The slide itself cannot be shown. ${(error as Error).message}`, "error");
    if (one.picture) await showPicture();
    else form.hinder("");
  }
}

/** Without the slide, its picture: a verdict is possible once that is seen. */
async function showPicture(): Promise<void> {
  const image = h("img", {
    src: path("cases", one.key, "/picture"),
    alt: "The slide with tissue and collagen marked",
  });
  byId("slide").replaceChildren(image);
  try {
    await image.decode();
    form.hinder("");
  } catch {
    form.hinder("No verdict: neither slide nor picture could be loaded.");
  }
}

function zoom(factor: number): void {
  if (panes.length > 0) panes[0].viewer.viewport.zoomBy(factor);
}

function pan(x: number, y: number): void {
  for (const pane of panes) {
    const step = 0.2 / pane.viewer.viewport.getZoom();
    pane.viewer.viewport.panBy(new OpenSeadragon.Point(x * step, y * step));
  }
}

function toggle(layer: string): void {
  const box = byId(`layer-${layer}`) as HTMLInputElement;
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change"));
}

/** Undo, redo and save; whether it was one of them. */
function command(event: KeyboardEvent): boolean {
  if (!(event.ctrlKey || event.metaKey) || !correction) return false;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) correction.undo();
  else if (key === "z" || key === "y") correction.redo();
  else if (key === "s") void correction.save();
  else return false;
  return true;
}

function onKey(event: KeyboardEvent): void {
  if (isTyping(event) && (event.target as HTMLInputElement).type !== "checkbox") return;
  if (command(event) || correction?.key(event)) {
    event.preventDefault();
    event.stopPropagation();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const actions: Record<string, () => void> = {
    a: () => void form.give("accept"),
    r: () => void form.give("reject"),
    n: () => {
      byId("next").click();
    },
    p: () => {
      byId("previous").click();
    },
    w: () => {
      location.assign("/");
    },
    l: () => {
      correction?.setTool("look");
    },
    d: () => {
      correction?.setTool("polygon");
    },
    f: () => {
      correction?.setTool("freehand");
    },
    g: () => {
      correction?.setTool("white");
    },
    o: () => {
      correction?.setKind("out");
    },
    i: () => {
      correction?.setKind("in");
    },
    c: () => {
      toggle("collagen");
    },
    t: () => {
      toggle("tissue");
    },
    "+": () => {
      zoom(1.5);
    },
    "-": () => {
      zoom(1 / 1.5);
    },
    "0": () => {
      for (const pane of panes) pane.viewer.viewport.goHome();
    },
    arrowleft: () => {
      pan(-1, 0);
    },
    arrowright: () => {
      pan(1, 0);
    },
    arrowup: () => {
      pan(0, -1);
    },
    arrowdown: () => {
      pan(0, 1);
    },
  };
  const key = event.key.toLowerCase();
  if (!(key in actions)) return;
  actions[key]();
  event.preventDefault();
  event.stopPropagation();
}

refuseDrops();
// OpenSeadragon adds an inline style for telephones unless it finds one; the page's policy would block
// it. An element of no known language answers its question and styles nothing.
const answer = document.createElementNS("urn:fibrovol", "style");
answer.setAttribute("data-openseadragon-mobile-css", "false");
document.head.append(answer);
for (const layer of ["collagen", "tissue"]) {
  byId(`layer-${layer}`).addEventListener("change", (event) => {
    const on = (event.target as HTMLInputElement).checked;
    for (const pane of panes) {
      pane.show(layer, on).catch((error: unknown) => {
        say((error as Error).message, "error");
      });
    }
  });
}
document.addEventListener("keydown", onKey, true);
stayAlive((report) => {
  byId("report").textContent =
    report.report_error || (report.report_busy ? "The report is being written …" : "");
});
load().catch((error: unknown) => {
  say((error as Error).message, "error");
});
