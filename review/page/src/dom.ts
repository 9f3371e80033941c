// Building elements. Text is always text: nothing from a table becomes markup.

type Child = Node | string | null | undefined | false;
type Props = Record<string, string | number | boolean | ((event: never) => void)>;

export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(key, value as EventListener);
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else element.setAttribute(key, String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page lacks #${id}`);
  return element;
}

/** Says something to everybody, screen readers included. */
export function say(text: string, kind: "note" | "error" = "note"): void {
  const place = byId("message");
  place.className = kind;
  place.textContent = text;
}

export function format(value: number | null, digits: number): string {
  if (value === null) return "–";
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** A file dropped on the page would replace it, and what is unsaved with it. */
export function refuseDrops(): void {
  for (const name of ["dragover", "drop"]) {
    window.addEventListener(name, (event) => {
      event.preventDefault();
    });
  }
}

/** Whether a key belongs to a field that is being filled in. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  return ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName) || target.isContentEditable;
}
