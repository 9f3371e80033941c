// A scan: three planes or both visits in step, the number live, painting, saving, the verdict.

import {
  addressOf,
  ask,
  caseKey,
  get,
  packed,
  path,
  Refused,
  stayAlive,
  type Case,
  type Grid,
} from "./api.ts";
import { byId, format, h, isTyping, refuseDrops, say } from "./dom.ts";
import { showHeader } from "./header.ts";
import { axesOf, Labels, LIVER, placeSlice, SPLEEN, type Plane } from "./labels.ts";
import { offerSeries } from "./series.ts";
import { VerdictForm } from "./verdict.ts";
import { SliceView, type Look, type Scan } from "./viewer.ts";

type Tool = "look" | "brush" | "eraser" | "fill";

const PLANES: readonly Plane[] = [0, 1, 2];
const HEAVY_VOXELS = 120_000_000;
const DRAFT_AFTER_MS = 800;

let one: Case;
let scan: Scan;
let look: Look;
let views: SliceView[] = [];
let other: { one: Case; scan: Scan; view: SliceView; offset: number; aligned: boolean } | null = null;
let form: VerdictForm;
let tool: Tool = "look";
let radius = 8;
/** The last change that was there when the labels were loaded or saved. */
let savedTop: object | null = null;
let draftTimer = 0;
let saving = false;

async function load(): Promise<void> {
  const key = caseKey();
  one = await get<Case>(path("cases", key));
  form = new VerdictForm(one, (now) => {
    one = now;
    header();
  });
  header();
  form.hinder("The scan is being loaded.");
  try {
    scan = await fetchFirst(key, one);
    look = { ...scan.grid.windows[0], outline: "outline" };
    build();
    await fetchRest(key, one, scan, (share) => {
      say(`Loading the scan: ${Math.round(100 * share)} %`);
    });
  } catch (error) {
    form.hinder(`No verdict: ${(error as Error).message}`);
    disablePainting((error as Error).message);
    if (one.picture) showPicture();
    await offerSeries(one);
    throw error;
  }
  say(size(scan.grid) > HEAVY_VOXELS ? "A large scan: painting keeps up, other planes are slower." : "");
  redraw();
  live();
  connect();
  hinder();
  if (one.reader) await offerDraft();
  if (one.status === "failed") await offerSeries(one);
  if (one.visits.length > 0) await loadOther(one.visits[0].key);
}

/** Grid, and the slices that are seen first; the rest of the scan is empty until it has arrived. */
async function fetchFirst(key: string, of: Case): Promise<Scan> {
  const [grid, planes] = await Promise.all([
    get<Grid>(path("scans", key, "/grid")),
    ask(path("scans", key, `/planes/${of.mask_sha256 || "none"}`)),
  ]);
  if (grid.mask_sha256 !== of.mask_sha256 || grid.input_sha256 !== of.input_sha256) {
    throw new Refused(409, "The case changed while it was loaded: load the page again.");
  }
  const first = (planes.headers.get("x-slices") ?? "").split(",").map(Number);
  const data = new Uint8Array(size(grid));
  const voxels = new Int16Array(size(grid));
  const bytes = await planes.arrayBuffer();
  const areas = PLANES.map((plane) => size(grid) / grid.shape[plane]);
  const all = areas[0] + areas[1] + areas[2];
  if (bytes.byteLength !== 3 * all) throw new Error("The first slices did not arrive whole.");
  let at = 0;
  for (const plane of PLANES) {
    const grey = new Int16Array(bytes, 2 * at, areas[plane]);
    const label = new Uint8Array(bytes, 2 * all + at, areas[plane]);
    placeSlice(voxels, grey, grid.shape, plane, first[plane]);
    placeSlice(data, label, grid.shape, plane, first[plane]);
    at += areas[plane];
  }
  const labels = new Labels(data, grid.shape, grid.spacing_mm);
  return { grid, voxels, labels, first, whole: false };
}

/** All grey values and labels, in place of the empty ones. */
async function fetchRest(
  key: string,
  of: Case,
  to: Scan,
  tell: (share: number) => void,
): Promise<void> {
  const [labels] = await Promise.all([
    ask(path("scans", key, `/labels/${of.mask_sha256 || "none"}`)).then((a) => a.arrayBuffer()),
    download(path("scans", key, "/voxels"), new Uint8Array(to.voxels.buffer), tell),
  ]);
  to.labels = new Labels(new Uint8Array(labels), to.grid.shape, to.grid.spacing_mm);
  to.whole = true;
}

function size(grid: Grid): number {
  return grid.shape[0] * grid.shape[1] * grid.shape[2];
}

async function download(
  from: string,
  whole: Uint8Array,
  tell: (share: number) => void,
): Promise<void> {
  const answer = await ask(from);
  const bytes = whole.length;
  let at = 0;
  const reader = answer.body!.getReader();
  for (;;) {
    const piece = await reader.read();
    if (piece.done) break;
    if (at + piece.value.length > bytes) throw new Error("The scan is longer than it should be.");
    whole.set(piece.value, at);
    at += piece.value.length;
    tell(at / bytes);
  }
  if (at !== bytes) throw new Error("The scan did not arrive whole: load the page again.");
}

async function loadOther(key: string): Promise<void> {
  const picked = one.visits.find((visit) => visit.key === key);
  if (!picked) return;
  // not in the message line: by now it belongs to what the reader does, such as a verdict
  byId("step").textContent = `Loading ${picked.timepoint} …`;
  try {
    const its = await get<Case>(path("cases", key));
    const loaded = await fetchFirst(key, its);
    await fetchRest(key, its, loaded, () => undefined);
    const view = new SliceView(canvas("other", `Axial slices of ${its.timepoint}`), loaded, 2, look);
    view.title = `${its.timepoint}: `;
    views[0].title = `${one.timepoint}: `;
    other = { one: its, scan: loaded, view, offset: 0, aligned: false };
    alignByLiver();
    byId("planes").classList.add("two");
    attach(view, false);
    inStep();
    header();
  } catch (error) {
    byId("step").className = "why";
    byId("step").textContent = `The other visit cannot be shown: ${(error as Error).message}`;
  }
}

/** Where the two scans' tables share no position, the top of the liver is what joins them. */
function alignByLiver(): void {
  if (!other) return;
  const mine = reach(scan);
  const theirs = reach(other.scan);
  if (mine && theirs && (mine[1] < theirs[0] || theirs[1] < mine[0])) {
    other.offset = theirs[1] - mine[1];
    other.aligned = true;
  }
}

function reach(of: Scan): [number, number] | null {
  const area = of.grid.shape[0] * of.grid.shape[1];
  const first = of.labels.data.indexOf(LIVER);
  if (first < 0) return null;
  const last = of.labels.data.lastIndexOf(LIVER);
  const row = of.grid.affine[2];
  const place = (at: number) => row[2] * Math.floor(at / area) + row[3];
  return [place(first), place(last)];
}

function inStep(): void {
  if (!other) return;
  other.view.goTo(views[0].position + other.offset);
  byId("step").textContent = other.aligned
    ? "Not registered: in step from the slices that you, or the top of the liver, aligned."
    : "Not registered: in step by the position of the table in mm.";
}

function canvas(id: string, name: string): HTMLCanvasElement {
  const element = h("canvas", { id, tabindex: 0, "aria-label": name, role: "img" });
  byId(`${id}-place`).replaceChildren(element);
  return element;
}

function build(): void {
  views = [
    new SliceView(canvas("axial", "Axial slices"), scan, 2, look),
    new SliceView(canvas("coronal", "Coronal slices"), scan, 1, look),
    new SliceView(canvas("sagittal", "Sagittal slices"), scan, 0, look),
  ];
  for (const view of views) attach(view, true);
  const slider = byId("slice") as HTMLInputElement;
  slider.max = String(views[0].depth - 1);
  slider.addEventListener("input", () => {
    move(views[0], Number(slider.value));
  });
  byId("windows").replaceChildren(
    ...scan.grid.windows.map((window, n) =>
      h(
        "button",
        {
          type: "button",
          title: `${n + 1}`,
          click: () => {
            setWindow(n);
          },
        },
        window.name,
      ),
    ),
  );
  if (scan.grid.tilt_degrees > 1) {
    byId("tilt").textContent = `The scan's own planes, tilted by ${scan.grid.tilt_degrees.toFixed(0)}°.`;
  }
  move(views[0], views[0].slice);
}

function move(view: SliceView, slice: number): void {
  view.go(slice);
  if (view === views[0]) {
    (byId("slice") as HTMLInputElement).value = String(view.slice);
    inStep();
  } else if (other && view === other.view) {
    views[0].goTo(view.position - other.offset);
    (byId("slice") as HTMLInputElement).value = String(views[0].slice);
  }
}

function setWindow(n: number): void {
  const preset = scan.grid.windows[n];
  look.level = preset.level;
  look.width = preset.width;
  redraw();
}

function redraw(): void {
  for (const view of views) view.redraw();
  other?.view.redraw();
}

/** Wheel, drag and pen on one view; only this case's own views can be painted on. */
function attach(view: SliceView, own: boolean): void {
  const target = view.canvas;
  let last: [number, number] | null = null;
  let drag: { x: number; y: number; what: "pan" | "window" } | null = null;
  target.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (event.ctrlKey) {
        view.zoom = Math.max(1, Math.min(20, view.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15)));
        if (other && view === views[0]) other.view.zoom = view.zoom;
        redraw();
      } else move(view, view.slice + (event.deltaY < 0 ? 1 : -1));
    },
    { passive: false },
  );
  target.addEventListener("pointerdown", (event) => {
    target.focus();
    target.setPointerCapture(event.pointerId);
    const paints = own && tool !== "look" && event.button === 0 && !event.shiftKey;
    if (!paints) {
      drag = { x: event.clientX, y: event.clientY, what: event.shiftKey ? "window" : "pan" };
      return;
    }
    const at = view.voxelAt(event.clientX, event.clientY);
    if (tool === "fill") {
      fill(view, at);
      return;
    }
    scan.labels.begin();
    last = at;
    stroke(view, at, at);
  });
  target.addEventListener("pointermove", (event) => {
    const at = view.voxelAt(event.clientX, event.clientY);
    if (drag) {
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      drag = { ...drag, x: event.clientX, y: event.clientY };
      if (drag.what === "pan") view.pan = [view.pan[0] + dx, view.pan[1] + dy];
      else {
        look.width = Math.max(1, look.width * (1 + dx / 300));
        look.level += (dy * look.width) / 500;
      }
      redraw();
    } else if (last) {
      stroke(view, last, at);
      last = at;
    }
    if (own && (tool === "brush" || tool === "eraser")) {
      view.pen = { at, radius };
      view.redraw();
    }
  });
  const up = () => {
    drag = null;
    if (!last) return;
    last = null;
    if (scan.labels.end()) edited();
  };
  target.addEventListener("pointerup", up);
  target.addEventListener("pointercancel", up);
  target.addEventListener("pointerleave", () => {
    view.pen = null;
    view.redraw();
  });
}

function stroke(view: SliceView, from: [number, number], to: [number, number]): void {
  scan.labels.line(view.plane, view.slice, from, to, radius, tool === "eraser");
  live();
  redraw();
}

function fill(view: SliceView, at: [number, number]): void {
  if (scan.labels.fill(view.plane, view.slice, at[0], at[1])) edited();
  else say("There is no closed hole of this organ's surroundings here.", "error");
}

/** Lets the organ grow in the slice in view to the edge round it. */
async function grow(): Promise<void> {
  const view = views.find((each) => each.canvas === document.activeElement) ?? views[0];
  const { plane, slice } = view;
  const { organ } = scan.labels;
  const before = scan.labels.sliceOf(plane, slice);
  if (!before.includes(organ)) {
    say("Paint a part of the organ in this slice first.", "error");
    return;
  }
  // from a whole outline it runs over into its neighbours: on real scans it made 28 of 30 worse
  if (scan.labels.hadOutline(plane, slice, organ)) {
    say("This slice has an outline already: correct it with brush and eraser.", "error");
    return;
  }
  say("Growing to the edge …");
  try {
    const answer = await ask(path("scans", one.key, `/grow/${plane}/${slice}/${organ}`), {
      method: "POST",
      body: await packed(before),
    });
    const found = new Uint8Array(await answer.arrayBuffer());
    // painted on meanwhile: what came back belongs to the slice as it was
    if (scan.labels.sliceOf(plane, slice).some((label, n) => label !== before[n])) {
      say("You painted meanwhile: grow again.", "error");
    } else if (scan.labels.addSlice(plane, slice, organ, found)) {
      edited();
      say("Grown to the edge. Look at it; one undo takes it back.");
    } else say("No edge beyond what is painted was found.", "error");
  } catch (error) {
    say((error as Error).message, "error");
  }
}

function interpolate(): void {
  const slices = scan.labels.interpolate();
  if (slices > 0) {
    edited();
    say(`${slices} slices drawn between yours. Look at them; one undo takes them back.`);
  } else say("Draw on at least two axial slices with others between them first.", "error");
}

/** After every change: the number, the buttons, the draft. */
function edited(): void {
  live();
  redraw();
  hinder();
  window.clearTimeout(draftTimer);
  draftTimer = window.setTimeout(() => void keepDraft(), DRAFT_AFTER_MS);
}

function isDirty(): boolean {
  return scan.labels.top !== savedTop;
}

function hinder(): void {
  const dirty = isDirty();
  form.hinder(dirty ? "Save or undo your changes first." : "");
  (byId("save") as HTMLButtonElement).disabled = !dirty || saving || !one.reader;
  (byId("undo") as HTMLButtonElement).disabled = !scan.labels.canUndo;
  (byId("redo") as HTMLButtonElement).disabled = !scan.labels.canRedo;
}

/** The number as it would be saved. */
function live(): void {
  const ml = (label: number) => scan.labels.counts[label] * scan.grid.voxel_ml;
  const spleen = ml(SPLEEN);
  byId("live").textContent = `${format(ml(LIVER), 1)} mL`;
  byId("live-more").textContent =
    (spleen > 0 ? `spleen ${format(spleen, 1)} mL, ratio ${format(ml(LIVER) / spleen, 2)}` : "") ||
    "no spleen";
  const from = one.value;
  byId("live-change").textContent =
    from === null || !scan.labels.canUndo
      ? ""
      : `${ml(LIVER) - from >= 0 ? "+" : "−"}${format(Math.abs(ml(LIVER) - from), 1)} mL since it was loaded`;
}

async function keepDraft(): Promise<void> {
  if (!one.reader || saving || !isDirty()) return;
  try {
    await ask(path("scans", one.key, "/draft"), {
      method: "PUT",
      headers: { "x-mask-sha256": one.mask_sha256 },
      body: await packed(scan.labels.data),
    });
    byId("draft").textContent = "Draft kept.";
  } catch (error) {
    byId("draft").textContent = `The draft was not kept: ${(error as Error).message}`;
  }
}

async function offerDraft(): Promise<void> {
  const answer = await ask(path("scans", one.key, "/draft"));
  if (answer.status === 204) return;
  const data = new Uint8Array(await answer.arrayBuffer());
  const same = answer.headers.get("x-drawn-over") === one.mask_sha256;
  if (data.length !== scan.labels.data.length) return;
  const place = byId("offer");
  const close = () => {
    place.replaceChildren();
  };
  const restore = () => {
    restoreDraft(data);
    close();
  };
  const forget = async () => {
    await ask(path("scans", one.key, "/draft"), { method: "DELETE" });
    close();
  };
  place.replaceChildren(
    h(
      "p",
      {},
      same
        ? "You painted on this scan and did not save it."
        : "You painted on this scan and did not save it; its outline was changed since.",
    ),
    h("button", { type: "button", id: "restore", click: restore }, "Go on with it"),
    h("button", { type: "button", click: () => void forget() }, "Forget it"),
  );
}

function restoreDraft(data: Uint8Array): void {
  scan.labels.replace(data);
  edited();
}

async function save(): Promise<void> {
  if (saving || !isDirty()) return;
  saving = true;
  hinder();
  say("Saving and measuring …");
  try {
    const top = scan.labels.top;
    const answer = await ask(path("scans", one.key, "/labels"), {
      method: "POST",
      headers: {
        "x-input-sha256": one.input_sha256,
        "x-mask-sha256": one.mask_sha256,
        "x-revision": String(one.revision),
      },
      body: await packed(scan.labels.data),
    });
    window.clearTimeout(draftTimer);
    one = (await answer.json()) as Case;
    savedTop = top;
    form.show(one, true);
    header();
    byId("draft").textContent = "";
    say(
      one.revision
        ? `Saved: ${format(one.value, 2)} mL. The measured outline is kept, too.`
        : "Saved: the outline is the measured one again.",
    );
  } catch (error) {
    say((error as Error).message, "error");
    await keepDraft();
  } finally {
    saving = false;
    live();
    hinder();
  }
}

function header(): void {
  showHeader(one, "mL", { value: 1, limits: 0 });
  byId("corrected").textContent = one.corrected
    ? `corrected${one.corrected_from === null ? "" : ` from ${format(one.corrected_from, 1)} mL`}`
    : "";
  byId("visits").replaceChildren(
    ...one.visits.filter((visit) => visit.key !== other?.one.key).map((visit) =>
      h(
        "button",
        { type: "button", click: () => void loadOther(visit.key) },
        `Compare with ${visit.timepoint}`,
      ),
    ),
    ...(other
      ? [
          h("button", { type: "button", click: alignHere }, "Align the two slices shown"),
          h(
            "a",
            { href: addressOf({ key: other.one.key, kind: "scan" }) },
            `Read ${other.one.timepoint}`,
          ),
          h(
            "span",
            {},
            `${other.one.timepoint}: ${format(other.one.value, 1)} mL`,
          ),
        ]
      : []),
  );
}

/** Takes the two slices shown for the same place; the other visit is moved by Alt and arrows. */
function alignHere(): void {
  if (!other) return;
  other.offset = other.view.position - views[0].position;
  other.aligned = true;
  inStep();
}

function showPicture(): void {
  byId("axial-place").replaceChildren(
    h("img", { src: path("cases", one.key, "/picture"), alt: "Six slices with the outline" }),
  );
}

function disablePainting(why: string): void {
  byId("tools").hidden = true;
  byId("error").textContent = why;
}

function setTool(to: Tool): void {
  tool = to;
  for (const button of byId("tools").querySelectorAll<HTMLButtonElement>("[data-tool]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === to));
  }
  byId("planes").dataset.tool = to;
  if (to !== "brush" && to !== "eraser") for (const view of views) view.pen = null;
  redraw();
}

function setRadius(to: number): void {
  radius = Math.max(0.5, Math.min(60, to));
  const field = byId("radius") as HTMLInputElement;
  field.value = String(radius);
  byId("radius-mm").textContent = `${radius} mm`;
  for (const view of views) if (view.pen) view.pen.radius = radius;
  redraw();
}

function setOrgan(label: number): void {
  scan.labels.organ = label;
  for (const button of byId("tools").querySelectorAll<HTMLButtonElement>("[data-organ]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.organ) === label));
  }
}

function setOutline(to: Look["outline"]): void {
  look.outline = to;
  (byId("outline") as HTMLSelectElement).value = to;
  redraw();
}

function undo(): void {
  if (scan.labels.undo()) edited();
}

function redo(): void {
  if (scan.labels.redo()) edited();
}

/** The pen by keyboard: shift and arrows move it, Enter makes a dab. */
function penKey(event: KeyboardEvent): boolean {
  const view = views.find((each) => each.canvas === document.activeElement) ?? views[0];
  if (tool === "look") return false;
  const [a, b] = axesOf(view.plane);
  const middle: [number, number] = [scan.grid.shape[a] / 2, scan.grid.shape[b] / 2];
  const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[
    event.key
  ];
  if (event.shiftKey && step) {
    const at = view.pen?.at ?? middle;
    view.pen = { at: [at[0] + step[0], at[1] + step[1]], radius };
    view.redraw();
    return true;
  }
  if (event.key === "Enter" && view.pen && document.activeElement === view.canvas) {
    if (tool === "fill") fill(view, view.pen.at);
    else {
      scan.labels.begin();
      stroke(view, view.pen.at, view.pen.at);
      if (scan.labels.end()) edited();
    }
    return true;
  }
  return false;
}

function onKey(event: KeyboardEvent): void {
  if (isTyping(event)) return;
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (command && key === "z") (event.shiftKey ? redo : undo)();
  else if (command && key === "y") redo();
  else if (command && key === "s") void save();
  else if (command) return;
  else if (penKey(event)) {
    // done
  } else if (event.altKey && other && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    other.view.go(other.view.slice + (event.key === "ArrowUp" ? 1 : -1));
  } else if (event.altKey) return;
  else {
    const view = views.find((each) => each.canvas === document.activeElement) ?? views[0];
    const actions: Record<string, () => void> = {
      arrowup: () => {
        move(view, view.slice + 1);
      },
      arrowdown: () => {
        move(view, view.slice - 1);
      },
      pageup: () => {
        move(view, view.slice + 10);
      },
      pagedown: () => {
        move(view, view.slice - 10);
      },
      l: () => {
        setTool("look");
      },
      b: () => {
        setTool("brush");
      },
      e: () => {
        setTool("eraser");
      },
      f: () => {
        setTool("fill");
      },
      i: interpolate,
      g: () => void grow(),
      "[": () => {
        setRadius(radius - 1);
      },
      "]": () => {
        setRadius(radius + 1);
      },
      o: () => {
        setOutline(look.outline === "off" ? "outline" : "off");
      },
      v: () => {
        setOutline(look.outline === "fill" ? "outline" : "fill");
      },
      "+": () => {
        view.zoom = Math.min(20, view.zoom * 1.25);
        redraw();
      },
      "-": () => {
        view.zoom = Math.max(1, view.zoom / 1.25);
        redraw();
      },
      "0": () => {
        view.zoom = 1;
        view.pan = [0, 0];
        redraw();
      },
      a: () => void form.give("accept"),
      r: () => void form.give("reject"),
      n: () => {
        go("next");
      },
      p: () => {
        go("previous");
      },
      w: () => {
        location.assign("/");
      },
    };
    const n = Number(key);
    if (n >= 1 && n <= scan.grid.windows.length) setWindow(n - 1);
    else if (key in actions) actions[key]();
    else return;
  }
  event.preventDefault();
}

function go(id: "next" | "previous"): void {
  const link = byId(id) as HTMLAnchorElement;
  if (!link.hidden) link.click();
}

function connect(): void {
  for (const button of byId("tools").querySelectorAll<HTMLButtonElement>("[data-tool]")) {
    button.addEventListener("click", () => {
      setTool(button.dataset.tool as Tool);
    });
  }
  for (const button of byId("tools").querySelectorAll<HTMLButtonElement>("[data-organ]")) {
    button.addEventListener("click", () => {
      setOrgan(Number(button.dataset.organ));
    });
  }
  byId("interpolate").addEventListener("click", interpolate);
  byId("grow").addEventListener("click", () => void grow());
  byId("undo").addEventListener("click", undo);
  byId("redo").addEventListener("click", redo);
  byId("save").addEventListener("click", () => void save());
  byId("radius").addEventListener("input", (event) => {
    setRadius(Number((event.target as HTMLInputElement).value));
  });
  byId("outline").addEventListener("change", (event) => {
    setOutline((event.target as HTMLSelectElement).value as Look["outline"]);
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("beforeunload", (event) => {
    if (isDirty()) event.preventDefault();
  });
}

refuseDrops();
stayAlive((report) => {
  byId("report").textContent =
    report.report_error || (report.report_busy ? "The report is being written …" : "");
});
load().catch((error: unknown) => {
  say((error as Error).message, "error");
});
