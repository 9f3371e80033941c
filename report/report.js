"use strict";
(function () {
  const table = document.getElementById("patients");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const status = document.getElementById("patients-status");
  const text = document.getElementById("filter-text");
  const measure = document.getElementById("filter-measure");
  const call = document.getElementById("filter-call");

  function key(row, column) {
    const cell = row.cells[column];
    const raw = cell.dataset.value;
    if (raw === undefined) return cell.textContent.trim();
    return raw === "" ? null : Number(raw);
  }
  function compare(a, b) {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    if (typeof a === "number") return a - b;
    return a.localeCompare(b, undefined, { numeric: true });
  }
  Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", function () {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = rows.map((row, index) => [key(row, column), index, row]);
      keyed.sort(function (a, b) {
        if (a[0] === null || b[0] === null) return compare(a[0], b[0]) || a[1] - b[1];
        return (down ? -1 : 1) * compare(a[0], b[0]) || a[1] - b[1];
      });
      for (const entry of keyed) body.appendChild(entry[2]);
    });
  });
  function apply() {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = (!measure.value || row.dataset.measure === measure.value) &&
        (!call.value || row.dataset.call === call.value) &&
        (!wanted || row.textContent.toLowerCase().includes(wanted));
      row.hidden = !fits;
      if (fits) shown += 1;
    }
    status.textContent = shown + " of " + rows.length + " rows shown";
  }
  for (const control of [text, measure, call]) control.addEventListener("input", apply);
  apply();
})();
(function () {
  // pictures open large; all of one subject at one scale, so that flipping between visits compares
  if (typeof HTMLDialogElement === "undefined") return;
  const LARGEST = 8;
  function widthOf(image) {
    const scaled = parseFloat(image.style.width);
    return Number.isFinite(scaled) ? scaled : null;
  }
  function pixels(image, side) {
    return Number(image.getAttribute(side)); // known before the picture is decoded
  }
  function element(name, text, parent) {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  }
  function open(images, at, opener) {
    const dialog = element("dialog", "", document.body);
    dialog.className = "large";
    dialog.setAttribute("aria-label", "Enlarged picture");
    const bar = element("div", "", dialog);
    bar.className = "bar";
    const words = element("p", "", bar);
    words.setAttribute("aria-live", "polite");
    const stage = element("div", "", dialog);
    stage.className = "stage";
    stage.tabIndex = 0;
    stage.setAttribute("role", "group");
    stage.setAttribute("aria-label", "Picture; scrolls when larger than the window");
    const picture = element("img", "", stage);
    let zoom = 1;
    function fitting() {
      // a unit of the widths that the page gives is as many pixels in every picture of the subject
      const known = images.filter((image) => widthOf(image) !== null);
      const group = widthOf(images[at]) === null ? [images[at]] : known;
      let unit = Infinity;
      for (const image of group) {
        const wide = widthOf(image) === null ? pixels(image, "width") : widthOf(image);
        const high = (wide * pixels(image, "height")) / pixels(image, "width");
        unit = Math.min(unit, stage.clientWidth / wide, stage.clientHeight / high);
      }
      return unit;
    }
    function draw() {
      const image = images[at];
      const wide = widthOf(image) === null ? pixels(image, "width") : widthOf(image);
      const middle = [stage.scrollLeft + stage.clientWidth / 2, stage.scrollTop + stage.clientHeight / 2];
      const before = picture.clientWidth || 1;
      picture.src = image.src;
      picture.alt = image.alt;
      picture.style.width = Math.floor(fitting() * wide * zoom) + "px";
      const grown = picture.clientWidth / before;
      stage.scrollLeft = middle[0] * grown - stage.clientWidth / 2;
      stage.scrollTop = middle[1] * grown - stage.clientHeight / 2;
      const caption = image.closest("figure").querySelector("figcaption");
      const visit = image.closest(".shots > div").querySelector(".visit");
      words.textContent = (visit ? visit.textContent + ": " : "") + (caption ? caption.textContent.trim() : "") +
        (images.length > 1 ? " (" + (at + 1) + " of " + images.length + ")" : "");
      smaller.disabled = zoom <= 1;
      larger.disabled = zoom >= LARGEST;
    }
    function go(step) {
      at = (at + step + images.length) % images.length;
      draw();
    }
    function scale(factor) {
      zoom = Math.min(LARGEST, Math.max(1, zoom * factor));
      draw();
    }
    function control(name, action) {
      const button = element("button", name, bar);
      button.type = "button";
      button.addEventListener("click", action);
      return button;
    }
    if (images.length > 1) {
      control("Previous", () => go(-1));
      control("Next", () => go(1));
    }
    const smaller = control("Smaller", () => scale(1 / 1.5));
    const larger = control("Larger", () => scale(1.5));
    control("Close", () => dialog.close());
    dialog.addEventListener("keydown", function (event) {
      const free = zoom <= 1 || !stage.contains(document.activeElement);
      if (event.key === "ArrowRight" && free && images.length > 1) go(1);
      else if (event.key === "ArrowLeft" && free && images.length > 1) go(-1);
      else if (event.key === "PageDown" && images.length > 1) go(1);
      else if (event.key === "PageUp" && images.length > 1) go(-1);
      else if (event.key === "+" || event.key === "=") scale(1.5);
      else if (event.key === "-") scale(1 / 1.5);
      else return;
      event.preventDefault();
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    function resized() {
      draw();
    }
    window.addEventListener("resize", resized);
    dialog.addEventListener("close", function () {
      window.removeEventListener("resize", resized);
      dialog.remove();
      opener.focus();
    });
    dialog.showModal();
    draw();
  }
  for (const one of document.querySelectorAll(".case")) {
    const images = Array.from(one.querySelectorAll(".shots img"));
    images.forEach(function (image, at) {
      const button = element("button", "");
      button.type = "button";
      button.className = "zoom";
      button.title = "Enlarge";
      image.replaceWith(button);
      button.appendChild(image);
      button.addEventListener("click", () => open(images, at, button));
    });
  }
})();

/* What is folded on the screen is printed. */
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.open = true;
    part.dataset.folded = "";
  }
});
addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-folded]")) {
    part.open = false;
    delete part.dataset.folded;
  }
});
