"use strict";
(() => {
  const root = document.documentElement;
  // Light or dark: the system's choice until the reader makes one.
  const button = document.getElementById("theme");
  const kept = () => { try { return localStorage.getItem("gauntlet-theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("gauntlet-theme", theme); } catch { /* not from this place */ } };
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
  if (["light", "dark"].includes(kept())) root.dataset.theme = kept();
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; keep(root.dataset.theme); name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
  button.hidden = false;
})();
