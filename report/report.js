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
