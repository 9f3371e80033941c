// The head of a case's page, the same for scans and slides.

import type { Case } from "./api.ts";
import { byId, format, h } from "./dom.ts";

export interface Digits {
  value: number;
  limits: number;
}

/** Shows the case's name and place, its number with limits, flags, error and neighbours. */
export function showHeader(one: Case, unit: string, digits: Digits): void {
  byId("title").textContent = one.blind ? one.key : [one.subject || one.key, one.timepoint].join(" ");
  byId("place").textContent = `${one.place} of ${one.n_cases}`;
  const limits =
    one.low === null
      ? ""
      : ` (${format(one.low, digits.limits)} to ${format(one.high, digits.limits)})`;
  byId("number").textContent =
    one.value === null ? "not measured" : `${format(one.value, digits.value)} ${unit}${limits}`;
  byId("flags").replaceChildren(
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
  );
  byId("error").textContent = one.error;
  for (const [id, key] of [
    ["previous", one.previous],
    ["next", one.next],
  ]) {
    const link = byId(id) as HTMLAnchorElement;
    link.toggleAttribute("hidden", !key);
    link.href = `/open?case=${encodeURIComponent(key)}`;
  }
}
