// Areas that a reader draws on a slide, with undo and redo. Pure: no browser in here. Corners are in
// pixels of the slide's finest level.

export type Corner = readonly [number, number];
export type Kind = "out" | "in";

export interface Area {
  kind: Kind;
  corners: Corner[];
}

export interface Drawing {
  readonly shapes: readonly Area[];
  /** Red, green and blue of empty glass that the reader picked, null to leave it as it was. */
  readonly white: readonly number[] | null;
}

export class Shapes {
  private now: Drawing;
  private saved: string;
  private done: Drawing[] = [];
  private undone: Drawing[] = [];

  constructor(drawing: Drawing) {
    this.now = drawing;
    this.saved = JSON.stringify(drawing);
  }

  get drawing(): Drawing {
    return this.now;
  }

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  /** Whether anything differs from what was loaded or saved last. */
  get changed(): boolean {
    return JSON.stringify(this.now) !== this.saved;
  }

  /** What the results folder has from now on. */
  keep(drawing: Drawing): void {
    this.saved = JSON.stringify(drawing);
  }

  add(area: Area): boolean {
    const corners = withoutRepeats(area.corners);
    if (corners.length < 3) return false;
    this.set({ ...this.now, shapes: [...this.now.shapes, { ...area, corners }] });
    return true;
  }

  remove(number: number): void {
    this.set({ ...this.now, shapes: this.now.shapes.filter((_, n) => n !== number) });
  }

  pick(white: readonly number[] | null): void {
    this.set({ ...this.now, white });
  }

  clear(): void {
    this.set({ shapes: [], white: null });
  }

  undo(): boolean {
    const before = this.done.pop();
    if (!before) return false;
    this.undone.push(this.now);
    this.now = before;
    return true;
  }

  redo(): boolean {
    const after = this.undone.pop();
    if (!after) return false;
    this.done.push(this.now);
    this.now = after;
    return true;
  }

  private set(drawing: Drawing): void {
    this.done.push(this.now);
    this.undone = [];
    this.now = drawing;
  }
}

/** Corners without repeats: none equals the one before it, nor the last the first. */
function withoutRepeats(corners: readonly Corner[]): Corner[] {
  const kept: Corner[] = [];
  for (const corner of corners) {
    const last = kept.at(-1);
    if (!last || last[0] !== corner[0] || last[1] !== corner[1]) kept.push(corner);
  }
  while (kept.length > 1 && kept[0][0] === kept.at(-1)![0] && kept[0][1] === kept.at(-1)![1]) kept.pop();
  return kept;
}
