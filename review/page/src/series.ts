// The series of a folder: a case that failed because two could be meant is measured on the one chosen.

import { get, path, post, type Case } from "./api.ts";
import { byId, h, say } from "./dom.ts";

interface Series {
  key: string;
  description: string;
  number: number | null;
  modality: string;
  plane: string;
  contrast: string;
  slices: number;
  spacing_mm: [number, number, number] | null;
  original: boolean;
  usable: boolean;
  reason: string;
  measured: boolean;
}

/** Lists the series of a case's folder if it has more than one. */
export async function offerSeries(one: Case): Promise<void> {
  let found: Series[];
  try {
    found = (await get<{ series: Series[] }>(path("scans", one.key, "/series"))).series;
  } catch {
    return; // the case's own error says already that its scan is not there
  }
  if (found.length < 2) return;
  byId("series").hidden = false;
  byId("series-list").replaceChildren(...found.map((series) => row(one, series)));
}

function row(one: Case, series: Series): HTMLElement {
  const facts = [
    series.number === null ? "" : `series ${series.number}`,
    series.modality,
    series.plane,
    series.contrast,
    `${series.slices} slices`,
    series.spacing_mm ? `${series.spacing_mm.map((mm) => mm.toFixed(2)).join(" × ")} mm` : "",
    series.original ? "" : "derived",
  ];
  return h(
    "li",
    {},
    h("strong", {}, series.description || "Series"),
    h("div", { class: "hint" }, facts.filter(Boolean).join(", ")),
    series.usable
      ? h(
          "button",
          {
            type: "button",
            disabled: !one.reader || series.measured,
            click: () => void choose(one, series),
          },
          series.measured ? "Measured" : "Measure this one",
        )
      : h("div", { class: "why" }, series.reason),
  );
}

async function choose(one: Case, series: Series): Promise<void> {
  say("Measuring this series …");
  for (const button of byId("series").querySelectorAll("button")) button.disabled = true;
  try {
    await post<Case>(path("scans", one.key, "/series"), { series: series.key });
    location.reload();
  } catch (error) {
    say((error as Error).message, "error");
    for (const button of byId("series").querySelectorAll("button")) button.disabled = false;
  }
}
