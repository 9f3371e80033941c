// The worklist: every case with picture, number, limits, flags and the reader's own verdict.

import { addressOf, get, path, post, stayAlive, type Summary, type Worklist } from "./api.ts";
import { byId, format, h, isTyping, refuseDrops, say } from "./dom.ts";

/** A failed case has no number to judge: it may be opened and mended, and is not waited for. */
const isUnread = (one: Summary): boolean => !one.verdict && one.status !== "failed";

const FILTERS: Record<string, (one: Summary) => boolean> = {
  All: () => true,
  Unread: isUnread,
  Flagged: (one) => one.flags.length > 0,
  "Kept out by a flag": (one) => one.questioned.length > 0,
  Failed: (one) => one.status === "failed",
  Rejected: (one) => one.verdict === "reject",
  Corrected: (one) => one.corrected,
};

let list: Worklist;
let filter = "All";
let at = 0;

function shown(): Summary[] {
  return list.cases.filter(FILTERS[filter]);
}

function draw(): void {
  const read = list.cases.filter((one) => one.verdict).length;
  const left = list.cases.filter(isUnread).length;
  const failed = list.cases.length - read - left;
  byId("title").textContent = list.title || (list.blind ? "Blinded reading" : "Results");
  byId("left").textContent = list.reader
    ? `${read} of ${read + left} read, ${left} left${failed ? `; ${failed} failed` : ""}`
    : `${list.cases.length} cases`;
  byId("progress").setAttribute("max", String(read + left));
  byId("progress").setAttribute("value", String(read));
  byId("filters").replaceChildren(
    ...Object.entries(FILTERS).map(([name, keeps]) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(name === filter),
          click: () => {
            filter = name;
            at = 0;
            draw();
          },
        },
        `${name} (${list.cases.filter(keeps).length})`,
      ),
    ),
  );
  const rows = shown();
  byId("none").hidden = rows.length > 0;
  byId("rows").replaceChildren(...rows.map(row));
  mark();
}

function row(one: Summary, index: number): HTMLElement {
  const limits =
    one.low === null ? "" : `${format(one.low, one.digits)} to ${format(one.high, one.digits)}`;
  const name = list.blind ? one.key : [one.subject || one.key, one.timepoint].join(" ");
  return h(
    "tr",
    { "data-key": one.key, class: `state-${one.status} ${one.verdict}` },
    h(
      "td",
      {},
      one.picture &&
        h("img", { src: path("cases", one.key, "/picture"), alt: "", loading: "lazy", width: 240 }),
    ),
    h(
      "th",
      { scope: "row" },
      h("a", { href: addressOf(one), "data-index": index }, name),
      h("div", { class: "kind" }, one.kind === "scan" ? "scan: liver volume" : "slide: collagen"),
    ),
    h(
      "td",
      { class: "number" },
      one.value === null ? "failed" : `${format(one.value, one.digits)} ${one.unit}`,
      h("div", { class: "limits" }, limits),
      one.corrected && h("div", { class: "corrected" }, "corrected"),
    ),
    h(
      "td",
      {},
      ...one.flags.map((flag) =>
        h(
          "span",
          {
            class: one.questioned.includes(flag.code) ? "flag doubtful" : "flag",
            title: flag.sentence,
          },
          flag.code,
        ),
      ),
      one.error && h("div", { class: "why" }, one.error),
    ),
    h("td", { class: `verdict ${one.verdict}` }, verdictText(one)),
  );
}

function verdictText(one: Summary): string {
  if (!list.reader) return "";
  if (one.outdated) return "to read again";
  return { accept: "accepted", reject: "rejected", "": "unread" }[one.verdict];
}

function mark(): void {
  const links = byId("rows").querySelectorAll("a");
  at = Math.max(0, Math.min(at, links.length - 1));
  const link = links.item(at) as HTMLAnchorElement | null;
  if (link && document.activeElement !== byId("reader")) {
    link.focus();
    link.scrollIntoView({ block: "nearest" });
  }
}

function onKey(event: KeyboardEvent): void {
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowDown: 1, j: 1, n: 1, ArrowUp: -1, k: -1, p: -1 }[event.key];
  if (step !== undefined) {
    at += step;
    mark();
    event.preventDefault();
  } else if (event.key === "u") {
    const first = list.cases.find(isUnread);
    if (first) location.assign(addressOf(first));
  }
}

async function load(): Promise<void> {
  list = await get<Worklist>("/api/cases");
  const field = byId("reader") as HTMLInputElement;
  field.value = list.reader;
  draw();
  if (!list.reader) {
    say("Enter your reader's code to give verdicts. To look, none is needed.");
    field.focus();
  }
}

async function sign(event: SubmitEvent): Promise<void> {
  event.preventDefault();
  const field = byId("reader") as HTMLInputElement;
  try {
    await post("/api/reader", { reader: field.value.trim() });
    await load();
    say(`Reading as ${field.value.trim()}.`);
    field.blur();
    mark();
  } catch (error) {
    say((error as Error).message, "error");
  }
}

async function stop(): Promise<void> {
  await post("/api/stop", {});
  say("Stopped. You can close this page.");
}

refuseDrops();
byId("sign").addEventListener("submit", (event) => void sign(event));
byId("stop").addEventListener("click", () => void stop());
document.addEventListener("keydown", onKey);
stayAlive((report) => {
  byId("report").textContent =
    report.report_error || (report.report_busy ? "The report is being written …" : "");
});
load().catch((error: unknown) => {
  say((error as Error).message, "error");
});
