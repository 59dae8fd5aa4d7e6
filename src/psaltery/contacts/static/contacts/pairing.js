// Settling contacts by keyboard: one row has the focus, one key settles it, and the next row has it.
(() => {
  "use strict";
  const rows = () => [...document.querySelectorAll(".pair-row")];
  const current = () => document.activeElement?.closest(".pair-row") ?? rows()[0];

  const go = (row, step) => {
    const all = rows();
    all[Math.min(Math.max(all.indexOf(row) + step, 0), all.length - 1)]?.focus();
  };

  const keys = {
    // Clicked rather than submitted: htmx sends the button along that was clicked.
    Enter: (row) => row.querySelector(".btn-primary").click(),
    x: (row) => row.querySelector("[name=aside]").click(),
    j: (row) => go(row, 1),
    ArrowDown: (row) => go(row, 1),
    k: (row) => go(row, -1),
    ArrowUp: (row) => go(row, -1),
    s: (row) => row.querySelector("[name=company_q]")?.focus(),
  };

  const pick = (row, number) => {
    const choice = row.querySelectorAll("[name=company]")[number - 1];
    if (!choice) return;
    choice.checked = true;
    keys.Enter(row);
  };

  const undoLast = () => [...document.querySelectorAll("[data-undo]")].at(-1)?.click();

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input[type=search], select, textarea");
    if (!document.querySelector("[data-pairing]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing && event.key === "Escape") event.target.closest(".pair-row")?.focus();
    if (typing || event.target.matches("button, a") || document.querySelector(".modal.show, dialog[open]")) return;
    const row = current();
    if (event.key === "u") undoLast();
    else if (row && /^[1-9]$/.test(event.key)) pick(row, Number(event.key));
    else if (row && keys[event.key] && row.querySelector("form .btn-primary")) keys[event.key](row);
    else return;
    event.preventDefault();
  });

  // The row that was settled is gone: the one behind it has the focus. One that is back has it too.
  let place = null;
  const before = (box) => rows().filter((row) => box.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_PRECEDING).length;

  document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
    if (target.matches?.(".pair-row, .pair-done")) place = before(target);
  });
  document.addEventListener("htmx:afterSettle", () => {
    if (place === null) return;
    const all = rows();
    all[Math.min(place, all.length - 1)]?.focus();
    place = null;
  });

  document.addEventListener("DOMContentLoaded", () => {
    if (document.querySelector("[data-pairing]")) rows()[0]?.focus({ preventScroll: true });
  });
})();
