"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Sorting: descending, ascending, the suite's order again.
  const grid = $("#grid");
  const body = grid.tBodies[0];
  const rows = [...body.rows];
  const heads = all("th[aria-sort]", grid.tHead);
  const groups = all(".group", grid.tHead);
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
    const folded = new Set(groups.filter((group) => group.dataset.folded).map((group) => group.dataset.name));
    heads.forEach((head, k) => {
      const hide = k > 0 && (attacks.has(head.dataset.attack) || budgets.has(head.dataset.budget) || folded.has(head.dataset.group));
      head.hidden = hide;
      if (hide) { head.dataset.gone = "1"; gone.push(`#grid tbody tr > :nth-child(${k + 1})`); } else { delete head.dataset.gone; }
    });
    // A norm's name stands over what is left of its columns.
    let first = heads.findIndex((head) => head.parentElement !== grid.tHead.rows[0]);
    groups.forEach((group) => {
      const own = heads.slice(first, first += Number(group.dataset.columns));
      const left = own.filter((head) => !head.hidden).length;
      group.hidden = left === 0;
      group.colSpan = left || 1;
    });
    rules.textContent = gone.length ? `${gone.join(",")}{display:none}` : "";
    say();
  };
  // Attacks of a norm behind its worst cases: at first where the table does not fit.
  const fold = (group, folded) => {
    if (folded) group.dataset.folded = "1"; else delete group.dataset.folded;
    const button = group.querySelector("button");
    button.setAttribute("aria-expanded", String(!folded));
    button.lastElementChild.textContent = folded ? `show ${group.dataset.folds} attacks` : "worst case alone";
  };
  const beside = () => { grid.dataset.beside = form.elements.beside.value; };
  form.addEventListener("input", () => { filter(); beside(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
  beside();
  const foldable = groups.filter((group) => group.dataset.folds !== "0");
  const wide = grid.parentElement.scrollWidth > grid.parentElement.clientWidth + 1;
  foldable.forEach((group) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(group.firstElementChild, document.createElement("span"));
    button.firstElementChild.after(" ");
    group.append(button);
    fold(group, wide);
    button.addEventListener("click", () => { fold(group, !group.dataset.folded); filter(); wider(); });
  });
  filter();

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
  function wider() {
    const box = grid.parentElement;
    $("#wider").hidden = box.scrollWidth <= box.clientWidth + 1;
    box.parentElement.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
    box.style.setProperty("--second", `${grid.tHead.rows[0].offsetHeight}px`);
  }
  grid.parentElement.addEventListener("scroll", wider, { passive: true });
  addEventListener("resize", wider);
  form.addEventListener("input", wider);
  wider();

  // A part that is asked for opens.
  const open = () => {
    const part = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const folded = part && (part.closest("details") || part.querySelector(":scope > details.more"));
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", open);
  all("nav a").forEach((link) => link.addEventListener("click", () => requestAnimationFrame(open)));
  open();

  const copy = $("#copy");
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", () => navigator.clipboard.writeText($("#command").textContent).then(
      () => { copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy"; }, 1500); },
      () => { getSelection().selectAllChildren($("#command")); },
    ));
  }
})();
