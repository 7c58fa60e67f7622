"use strict";
(() => {
  const root = document.documentElement;
  const $ = (selector) => document.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Light or dark: the system's choice until the reader makes one.
  const button = $("#theme");
  const kept = () => { try { return localStorage.getItem("gauntlet-theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("gauntlet-theme", theme); } catch { /* not from this place */ } };
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
  if (["light", "dark"].includes(kept())) root.dataset.theme = kept();
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; keep(root.dataset.theme); name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
  button.hidden = false;

  // Sorting: descending, ascending, the suite's order again.
  const grid = $("#grid");
  const body = grid.tBodies[0];
  const rows = [...body.rows];
  const heads = [...grid.tHead.rows[0].cells].filter((head) => head.querySelector("button"));
  const values = rows.map((row) => [...row.cells].map((cell, k) => k ? parseFloat(cell.dataset.v) : cell.textContent));
  let sorted = "";
  const sort = (k) => {
    const first = k ? "descending" : "ascending";
    const second = k ? "ascending" : "descending";
    const order = { none: first, [first]: second, [second]: "none" }[heads[k].getAttribute("aria-sort")];
    heads.forEach((head, i) => head.setAttribute("aria-sort", i === k ? order : "none"));
    const sign = order === "descending" ? -1 : 1;
    const places = rows.map((_, i) => i);
    if (order !== "none") {
      places.sort((a, b) => {
        const [x, y] = [values[a][k], values[b][k]];
        if (!k) return sign * x.localeCompare(y);
        // What has no number stands last either way.
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y) || a - b;
        return sign * (x - y) || a - b;
      });
    }
    body.append(...places.map((i) => rows[i]));
    sorted = order === "none" ? "" : `, sorted by ${heads[k].innerText.replace(/\s+/g, " ").trim()}, ${order}`;
    say();
  };
  heads.forEach((head, k) => head.firstElementChild.addEventListener("click", () => sort(k)));

  // Filters.
  const form = $("#controls");
  const find = $("#find");
  const rules = document.head.appendChild(document.createElement("style"));
  const say = () => {
    const shown = rows.filter((row) => !row.hidden).length;
    const columns = heads.filter((head) => !head.dataset.gone).length - 1;
    $("#said").textContent = `${shown} of ${rows.length} rows, ${columns} of ${heads.length - 1} columns${sorted}`;
  };
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row) => { row.hidden = !words.every((word) => row.dataset.words.includes(word)); });
    const off = (name) => new Set(all(`input[name="${name}"]:not(:checked)`, form).map((input) => input.value));
    const attacks = off("attack");
    const budgets = off("budget");
    const gone = [];
    heads.forEach((head, k) => {
      const hide = k > 0 && (attacks.has(head.dataset.attack) || budgets.has(head.dataset.budget));
      if (hide) { head.dataset.gone = "1"; gone.push(`#grid tr > :nth-child(${k + 1})`); } else { delete head.dataset.gone; }
    });
    rules.textContent = gone.length ? `${gone.join(",")}{display:none}` : "";
    say();
  };
  const beside = () => { grid.dataset.beside = form.elements.beside.value; };
  form.addEventListener("input", () => { filter(); beside(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
  beside();

  // Flags explain themselves to pointer and keyboard alike.
  const tip = $("#tip");
  let shown = null;
  const show = (flag) => {
    shown = flag;
    const meaning = document.getElementById(flag.dataset.means);
    tip.textContent = `${flag.dataset.tip} ${meaning ? meaning.textContent : ""}`;
    tip.hidden = false;
    place();
  };
  const place = () => {
    if (!shown) return;
    const at = shown.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
    tip.style.top = `${at.bottom + size.height + 12 > innerHeight ? Math.max(8, at.top - size.height - 6) : at.bottom + 6}px`;
  };
  const hide = () => { tip.hidden = true; shown = null; };
  all(".flag").forEach((flag) => {
    flag.addEventListener("mouseenter", () => show(flag));
    flag.addEventListener("focus", () => show(flag));
    flag.addEventListener("mouseleave", hide);
    flag.addEventListener("blur", hide);
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", place, true);

  // Who does not see all columns is told.
  const wider = () => { $("#wider").hidden = grid.parentElement.scrollWidth <= grid.parentElement.clientWidth + 1; };
  addEventListener("resize", wider);
  form.addEventListener("input", wider);
  wider();

  const copy = $("#copy");
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", () => navigator.clipboard.writeText($("#command").textContent).then(
      () => { copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy"; }, 1500); },
      () => { getSelection().selectAllChildren($("#command")); },
    ));
  }
})();
