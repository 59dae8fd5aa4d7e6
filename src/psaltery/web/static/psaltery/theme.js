// Runs before the page is painted, so that a dark page does not flash white.
(() => {
  "use strict";
  const root = document.documentElement;
  const device = matchMedia("(prefers-color-scheme: dark)");

  const remembered = () => {
    try {
      return localStorage.getItem("psaltery-theme");
    } catch {
      return null; // storage is refused in some private windows
    }
  };

  const show = (choice) => {
    const dark = choice === "dark" || (choice !== "light" && device.matches);
    root.dataset.bsTheme = dark ? "dark" : "light";
    document.dispatchEvent(new CustomEvent("psaltery:theme"));
  };

  window.psalteryTheme = {
    choose(choice) {
      root.dataset.theme = choice;
      try {
        localStorage.setItem("psaltery-theme", choice);
      } catch {
        // The server remembers it too.
      }
      show(choice);
    },
  };

  root.dataset.theme = root.dataset.theme || remembered() || "auto";
  show(root.dataset.theme);
  device.addEventListener("change", () => show(root.dataset.theme));
})();
