// A slide: its picture with tissue and collagen marked, and the verdict.

import { caseKey, get, path, stayAlive, type Case } from "./api.ts";
import { byId, format, h, isTyping, refuseDrops, say } from "./dom.ts";
import { VerdictForm } from "./verdict.ts";

let one: Case;
let form: VerdictForm;

function header(): void {
  byId("title").textContent = one.blind ? one.key : [one.subject || one.key, one.timepoint].join(" ");
  byId("place").textContent = `${one.place} of ${one.n_cases}`;
  const limits = one.low === null ? "" : ` (${format(one.low, 2)} to ${format(one.high, 2)})`;
  byId("number").textContent =
    one.value === null ? "not measured" : `${format(one.value, 2)} % collagen${limits}`;
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

async function load(): Promise<void> {
  one = await get<Case>(path("cases", caseKey()));
  form = new VerdictForm(one, (now) => {
    one = now;
    header();
  });
  header();
  if (one.picture) await showPicture();
}

/** A verdict is possible only once the picture is seen. */
async function showPicture(): Promise<void> {
  form.hinder("The picture is being loaded.");
  const image = h("img", {
    src: path("cases", one.key, "/picture"),
    alt: "The slide with tissue and collagen marked",
  });
  byId("slide").replaceChildren(image);
  try {
    await image.decode();
    form.hinder("");
  } catch {
    form.hinder("No verdict: the picture could not be loaded.");
    say("The picture could not be loaded.", "error");
  }
}

function onKey(event: KeyboardEvent): void {
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "a") void form.give("accept");
  else if (key === "r") void form.give("reject");
  else if (key === "n") byId("next").click();
  else if (key === "p") byId("previous").click();
  else if (key === "w") location.assign("/");
  else return;
  event.preventDefault();
}

refuseDrops();
document.addEventListener("keydown", onKey);
stayAlive((report) => {
  byId("report").textContent =
    report.report_error || (report.report_busy ? "The report is being written …" : "");
});
load().catch((error: unknown) => {
  say((error as Error).message, "error");
});
