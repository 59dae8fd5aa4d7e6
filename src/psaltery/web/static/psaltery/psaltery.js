// What pages do beside htmx: theme, questions, copying, and saying so when the server can't be reached.
(() => {
  "use strict";

  const announce = (text) => {
    document.getElementById("announcer").textContent = text;
  };

  const trouble = (text) => {
    const box = document.getElementById("trouble");
    box.querySelector("span").textContent = text;
    box.hidden = false;
  };

  const switchTheme = (form, choice) => {
    window.psalteryTheme.choose(choice);
    for (const button of form.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === choice));
    }
    const body = new FormData(form);
    body.set("theme", choice);
    fetch(form.action, { method: "POST", body, headers: { "HX-Request": "true" } }).catch(() => {
      trouble("Your theme is changed here, but Psaltery could not be reached to remember it.");
    });
  };

  const copy = async (button) => {
    const label = button.querySelector("span");
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      label.textContent = "Copied";
      announce("Copied");
    } catch {
      // Plain http on another host has no clipboard: show the text to copy by hand.
      window.prompt("Copy this:", button.dataset.copy);
    }
    setTimeout(() => { label.textContent = before; }, 1500);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-theme-switch]")) {
      event.preventDefault();
      switchTheme(form, event.submitter.value);
    } else if (form.method === "post" && !form.hasAttribute("hx-post")) {
      // A second click must not send the form again.
      setTimeout(() => {
        for (const button of form.querySelectorAll("button:not([type=button])")) button.disabled = true;
      });
    }
  });

  document.addEventListener("click", (event) => {
    const found = (selector) => event.target.closest(selector);
    const opener = found("[data-dialog-open]");
    if (opener) document.getElementById(opener.dataset.dialogOpen).showModal();
    if (found("[data-dialog-close]")) found("dialog").close();
    if (found("[data-copy]")) copy(found("[data-copy]"));
    if (found("#trouble .btn-close")) document.getElementById("trouble").hidden = true;
    const fold = found(".list-fold");
    if (fold) fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") === "false"));
    const all = found("[data-check-all]");
    if (all) {
      for (const box of document.querySelectorAll(all.dataset.checkAll)) box.checked = all.checked;
    }
  });

  // Search over everything: Ctrl+K or Cmd+K from anywhere, arrows to walk, Enter to go.
  const finder = document.getElementById("finder");
  const openFinder = () => {
    if (!finder || finder.open) return;
    finder.showModal();
    const input = finder.querySelector("input");
    input.select();
    window.htmx.trigger(input, "finder-opened");
  };

  const walkFinder = (event) => {
    const hits = [...finder.querySelectorAll(".finder-hit")];
    const at = hits.indexOf(document.activeElement);
    if (event.key === "Escape") {
      // A search field would only clear itself at first.
      event.preventDefault();
      finder.close();
    } else if (event.key === "Enter" && at < 0 && hits.length) {
      event.preventDefault();
      hits[0].click();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = event.key === "ArrowDown" ? at + 1 : at - 1;
      (hits[Math.min(next, hits.length - 1)] || finder.querySelector("input")).focus();
    }
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-finder]")) openFinder();
    // A click beside it closes it.
    if (finder && event.target === finder) finder.close();
  });

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openFinder();
      return;
    }
    if (finder && finder.open) {
      walkFinder(event);
      return;
    }
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      const search = document.querySelector("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });

  // The set-up page guesses the time zone of whoever opens it.
  const guessed = document.querySelector("[data-zone-guess] select[name=time_zone]");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (guessed && guessed.value === "UTC" && guessed.querySelector(`option[value="${CSS.escape(zone)}"]`)) {
    guessed.value = zone;
  }

  // A page taken back from the browser's memory has its buttons as they were left.
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("form button:disabled:not([data-off])")) {
      button.disabled = false;
    }
  });

  // Filters left empty have no place in the address.
  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.target.matches(".list-tools")) return;
    for (const [name, value] of [...event.detail.formData.entries()]) {
      if (value === "") event.detail.formData.delete(name);
    }
  });

  const isPolling = (event) => (event.detail.elt.getAttribute("hx-trigger") || "").startsWith("every");

  // What renews itself must not take the keyboard's place away, nor work for a hidden window.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.detail.elt;
    if (!isPolling(event)) return;
    const inUse = part.contains(document.activeElement) || part.querySelector("dialog[open], .dropdown-menu.show");
    if (document.hidden || inUse) event.preventDefault();
  });

  document.addEventListener("htmx:responseError", (event) => {
    trouble(`Psaltery answered with an error (${event.detail.xhr.status}). Load the page again; if it stays, tell your administrator.`);
  });
  document.addEventListener("htmx:sendError", (event) => {
    trouble(isPolling(event)
      ? "Psaltery can't be reached; these figures are not live. They go on by themselves when it is back."
      : "Psaltery can't be reached. Check your connection and try again.");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) document.getElementById("trouble").hidden = true;
  });
})();
