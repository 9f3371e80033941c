// Areas to leave out or to keep to, and the white of the glass: drawn, saved, measured again.

import { get, path, post, type Case } from "./api.ts";
import { byId, format, h, say } from "./dom.ts";
import { DrawingLayer, type SlideTool } from "./drawing.ts";
import { Shapes, type Drawing, type Kind } from "./shapes.ts";
import type OpenSeadragon from "openseadragon";

interface Hooks {
  /** The case as it is after saving. */
  saved: (now: Case) => Promise<void>;
  /** Anything was drawn, undone or saved. */
  changed: () => void;
}

const KIND_NAMES: Record<Kind, string> = { out: "Left out", in: "Measured only inside" };

export class SlideCorrection {
  private readonly shapes: Shapes;
  private readonly layer: DrawingLayer;
  private readonly hooks: Hooks;
  private one: Case;
  private saving = false;

  private constructor(
    one: Case,
    drawing: Drawing,
    viewer: OpenSeadragon.Viewer,
    image: OpenSeadragon.TiledImage,
    hooks: Hooks,
  ) {
    this.one = one;
    this.hooks = hooks;
    this.shapes = new Shapes(drawing);
    this.layer = new DrawingLayer(viewer, image, {
      area: (kind, corners) => {
        if (!this.shapes.add({ kind, corners })) say("An area needs three corners.", "error");
        this.changed();
      },
      white: (x, y) => void this.pickWhite(x, y),
    });
    for (const button of byId("tools").querySelectorAll<HTMLButtonElement>("[data-tool]")) {
      button.addEventListener("click", () => {
        this.setTool(button.dataset.tool as SlideTool);
      });
    }
    for (const button of byId("tools").querySelectorAll<HTMLButtonElement>("[data-kind]")) {
      button.addEventListener("click", () => {
        this.setKind(button.dataset.kind as Kind);
      });
    }
    const actions: Record<string, () => void> = {
      undo: () => {
        this.undo();
      },
      redo: () => {
        this.redo();
      },
      clear: () => {
        this.shapes.clear();
        this.changed();
      },
      save: () => void this.save(),
    };
    for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", act);
    window.addEventListener("beforeunload", (event) => {
      if (this.shapes.changed) event.preventDefault();
    });
    byId("tools").hidden = false;
    this.changed();
  }

  /** Loads what was drawn and makes the controls work. */
  static async start(
    one: Case,
    viewer: OpenSeadragon.Viewer,
    image: OpenSeadragon.TiledImage,
    hooks: Hooks,
  ): Promise<SlideCorrection> {
    const drawing = await get<Drawing>(path("slides", one.key, "/drawn"));
    return new SlideCorrection(one, drawing, viewer, image, hooks);
  }

  get isChanged(): boolean {
    return this.shapes.changed;
  }

  setTool(tool: SlideTool): void {
    this.layer.setTool(tool);
    press("tool", tool);
  }

  setKind(kind: Kind): void {
    this.layer.kind = kind;
    press("kind", kind);
  }

  undo(): void {
    if (this.layer.isOpen ? this.layer.back() : this.shapes.undo()) this.changed();
  }

  redo(): void {
    if (this.shapes.redo()) this.changed();
  }

  /** What a key does while something is drawn; whether it did. */
  key(event: KeyboardEvent): boolean {
    if (this.layer.tool === "look") return false;
    if (event.key === "Enter") {
      // a button or link that has the focus is pressed instead
      if ((event.target as HTMLElement).closest("button, a, summary, input")) return false;
      this.layer.atCross();
    } else if (event.key === "Backspace") this.layer.back();
    else if (event.key === "Escape") {
      if (this.layer.isOpen) this.layer.cancel();
      else this.setTool("look");
    } else return false;
    return true;
  }

  async save(): Promise<void> {
    if (this.saving || !this.canSave) return;
    this.saving = true;
    this.changed();
    say("Saving and measuring the slide again …");
    const drawing = this.shapes.drawing;
    try {
      this.one = await post<Case>(path("slides", this.one.key, "/drawn"), {
        ...drawing,
        revision: this.one.revision,
        mask_sha256: this.one.mask_sha256,
      });
      this.shapes.keep(drawing);
      await this.hooks.saved(this.one);
      say(
        this.one.revision
          ? `Saved: ${format(this.one.value, 2)} % collagen. What was measured first is kept, too.`
          : "Saved: the slide counts as it was measured again.",
      );
    } catch (error) {
      say((error as Error).message, "error");
    } finally {
      this.saving = false;
      this.changed();
    }
  }

  private get canSave(): boolean {
    // areas of an earlier measurement are measured with again as they are
    const outdated = this.one.flags.some((flag) => flag.code === "correction_outdated");
    return Boolean(this.one.reader) && (this.shapes.changed || outdated);
  }

  private async pickWhite(x: number, y: number): Promise<void> {
    try {
      const place = `/white?x=${x.toFixed(1)}&y=${y.toFixed(1)}`;
      const found = await get<{ white: number[] }>(path("slides", this.one.key, place));
      this.shapes.pick(found.white);
      this.changed();
      say("White picked. Save to measure the slide with it.");
    } catch (error) {
      say((error as Error).message, "error");
    }
  }

  private changed(): void {
    const { shapes, white } = this.shapes.drawing;
    this.layer.show(this.shapes.drawing);
    byId("areas").replaceChildren(
      ...shapes.map((area, n) =>
        h(
          "li",
          {},
          `${KIND_NAMES[area.kind]}, ${area.corners.length} corners `,
          h(
            "button",
            {
              type: "button",
              "aria-label": `Remove area ${n + 1}`,
              click: () => {
                this.shapes.remove(n);
                this.changed();
              },
            },
            "Remove",
          ),
        ),
      ),
    );
    byId("white-picked").textContent = white
      ? `White of the glass: ${white.map((value) => Math.round(value)).join(", ")}.`
      : "";
    const disable = (id: string, off: boolean) => {
      (byId(id) as HTMLButtonElement).disabled = off;
    };
    disable("undo", !this.shapes.canUndo && !this.layer.isOpen);
    disable("redo", !this.shapes.canRedo);
    disable("clear", shapes.length === 0 && !white);
    disable("save", this.saving || !this.canSave);
    byId("drawn").textContent =
      !this.one.excluded_regions_mm2
        ? ""
        : `Areas take ${format(this.one.excluded_regions_mm2, 4)} mm² of tissue out` +
          (this.one.corrected_from === null
            ? "."
            : `; ${format(this.one.corrected_from, 2)} % before they were drawn.`);
    this.hooks.changed();
  }
}

function press(name: "tool" | "kind", value: string): void {
  for (const button of byId("tools").querySelectorAll<HTMLButtonElement>(`[data-${name}]`)) {
    button.setAttribute("aria-pressed", String(button.dataset[name] === value));
  }
}
