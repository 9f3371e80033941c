// The verdict's form: accept, reject with a reason, overrule a flag, quality, note.

import { path, post, type Case } from "./api.ts";
import { byId, format, h, say } from "./dom.ts";

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

function fields(): Field[] {
  const form = document.getElementById("verdict-form");
  return [...(form?.querySelectorAll<Field>("[name=reason], [name=quality], [name=note]") ?? [])];
}

function typed(): string[] {
  return fields().map((field) => field.value);
}

export class VerdictForm {
  private shown: Case;
  private readonly place = byId("verdict");
  /** Why no verdict can be given now, "" where one can. */
  private hindrance = "";
  private readonly changed: (now: Case) => void;

  constructor(shown: Case, changed: (now: Case) => void) {
    this.shown = shown;
    this.changed = changed;
    this.draw();
  }

  /** Shows the case as it is now; with `keep`, what was typed and not given yet stays. */
  show(shown: Case, keep = false): void {
    const before = keep ? typed() : [];
    this.shown = shown;
    this.draw();
    for (const [n, field] of fields().entries()) if (n < before.length) field.value = before[n];
  }

  /** Says why no verdict can be given now, "" where one can; what was typed stays. */
  hinder(why: string): void {
    this.hindrance = why;
    this.block();
  }

  private block(): void {
    const form = document.getElementById("verdict-form");
    if (!form) return;
    const blocked = this.hindrance !== "";
    form.classList.toggle("blocked", blocked);
    for (const button of form.querySelectorAll<HTMLButtonElement>(".buttons button")) {
      button.disabled = blocked || (button.value === "accept" && this.shown.value === null);
    }
    byId("hindrance").textContent = this.hindrance;
  }

  private draw(): void {
    const one = this.shown;
    if (!one.reader) {
      this.place.replaceChildren(
        h("h2", {}, "Verdict"),
        h("p", {}, "Enter your reader's code in the worklist first."),
        h("p", {}, h("a", { href: "/" }, "To the worklist")),
      );
      return;
    }
    const reasons = h("datalist", { id: "reasons" });
    for (const text of [...one.reasons, ...one.overruling]) reasons.append(h("option", { value: text }));
    const flags = one.flags.filter((flag) => one.questioned.includes(flag.code));
    this.place.replaceChildren(
      h("h2", {}, "Verdict"),
      this.standing(),
      h(
        "form",
        {
          id: "verdict-form",
          submit: (event: SubmitEvent) => {
            event.preventDefault();
            void this.give((event.submitter as HTMLButtonElement).value);
          },
        },
        flags.length > 0 &&
          h(
            "fieldset",
            {},
            h("legend", {}, "Flags that keep this number out"),
            ...flags.map((flag) =>
              h(
                "label",
                { class: "check" },
                h("input", { type: "checkbox", name: "overrule", value: flag.code }),
                h("span", {}, h("strong", {}, flag.code), ` ${flag.sentence} Overrule it.`),
              ),
            ),
          ),
        h(
          "label",
          {},
          flags.length > 0 ? "Reason (to reject or overrule)" : "Reason (to reject)",
          h("input", { name: "reason", list: "reasons", maxlength: 300, autocomplete: "off" }),
        ),
        reasons,
        h(
          "div",
          { class: "pair" },
          h(
            "label",
            {},
            "Quality",
            h(
              "select",
              { name: "quality" },
              h("option", { value: "" }, "–"),
              ...["1 poor", "2", "3", "4", "5 excellent"].map((text) =>
                h("option", { value: text[0] }, text),
              ),
            ),
          ),
          h("label", {}, "Note", h("textarea", { name: "note", rows: 1, maxlength: 2000 })),
        ),
        h(
          "div",
          { class: "buttons" },
          h("button", { value: "accept", class: "accept", title: "A" }, "Accept"),
          h("button", { value: "reject", class: "reject", title: "R" }, "Reject"),
          one.own && h("button", { value: "withdraw" }, "Take back"),
        ),
        h("p", { class: "hint", id: "hindrance" }),
      ),
    );
    this.block();
  }

  private standing(): HTMLElement {
    const one = this.shown;
    if (!one.own) {
      return h(
        "p",
        {},
        one.outdated
          ? "Your earlier verdict was on another outline: look again."
          : "You have not read this case.",
      );
    }
    const text = (line: { verdict: string; reason: string; quality: number | null; note: string }) =>
      [
        line.verdict === "accept" ? "accepted" : "rejected",
        line.reason,
        line.quality === null ? "" : `quality ${format(line.quality, 0)}`,
        line.note,
      ]
        .filter(Boolean)
        .join("; ");
    return h(
      "div",
      { class: `standing ${one.own.verdict}` },
      h("p", {}, `You: ${text(one.own)}`),
      ...(one.others ?? []).map((line) => h("p", {}, `${line.reader ?? ""}: ${text(line)}`)),
    );
  }

  /** Gives a verdict on exactly the outline that is shown. */
  async give(verdict: string): Promise<void> {
    if (this.hindrance || !this.shown.reader) return;
    const form = document.getElementById("verdict-form");
    if (!(form instanceof HTMLFormElement)) return;
    const fields = new FormData(form);
    const reason = form.elements.namedItem("reason") as HTMLInputElement;
    const text = (name: string) => (fields.get(name) ?? "") as string;
    const overruled = verdict === "accept" ? fields.getAll("overrule") : [];
    if ((verdict === "reject" || overruled.length > 0) && !text("reason").trim()) {
      say("Say why: choose a reason from the list or write your own.", "error");
      reason.focus();
      return;
    }
    try {
      const now = await post<Case>(path("cases", this.shown.key, "/verdict"), {
        verdict,
        reason: text("reason"),
        note: text("note"),
        quality: text("quality") ? Number(text("quality")) : null,
        overruled_flags: overruled,
        mask_sha256: this.shown.mask_sha256,
        revision: this.shown.revision,
      });
      say(verdict === "accept" ? "Accepted." : verdict === "reject" ? "Rejected." : "Taken back.");
      this.show(now);
      this.changed(now);
    } catch (error) {
      say((error as Error).message, "error");
    }
  }
}
