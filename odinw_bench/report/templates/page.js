"use strict";
(() => {
  // Theme: what was chosen here before, else the system's.
  const root = document.documentElement;
  const toggle = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("odinw-bench-theme"); } catch { /* files may have no storage */ }
  const show = () => {
    const dark = chosen ? chosen === "dark" : system.matches;
    root.dataset.theme = dark ? "dark" : "light";
    toggle.textContent = dark ? "Light" : "Dark";
    toggle.setAttribute("aria-label", dark ? "Use light colours" : "Use dark colours");
    toggle.setAttribute("aria-pressed", String(dark));
  };
  toggle.addEventListener("click", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("odinw-bench-theme", chosen); } catch { /* as above */ }
    show();
  });
  system.addEventListener("change", show);
  show();

  // On a phone the contents would push the results off the screen.
  if (matchMedia("(max-width: 1099px)").matches) document.querySelector("nav details").open = false;

  // A link opens what it leads to; paper has no folds.
  const folds = [...document.querySelectorAll("main details")];
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    let closed = false;
    const open = (one) => { closed ||= !one.open; one.open = true; };
    for (let one = target.parentElement; one; one = one.parentElement) if (one.matches("details")) open(one);
    const own = target.querySelector(":scope > details.fold");
    if (own) open(own);
    if (closed) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();
  let before = [];
  addEventListener("beforeprint", () => { before = folds.map((one) => one.open); folds.forEach((one) => { one.open = true; }); });
  addEventListener("afterprint", () => folds.forEach((one, place) => { one.open = before[place] ?? one.open; }));

  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const value = (cell) => {
    if (cell.hasAttribute("data-none")) return null;
    return cell.dataset.v ?? cell.textContent.trim();
  };
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? words.compare(a, b) : x - y;
  };

  for (const holder of document.querySelectorAll("[data-table]")) {
    const body = holder.querySelector("tbody");
    const heads = [...holder.querySelectorAll("thead th")];
    heads.forEach((head, index) => {
      head.querySelector("button").addEventListener("click", () => {
        const first = head.classList.contains("number") ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const keyed = [...body.rows].map((row) => [value(row.cells[index]), row]);
        keyed.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null); // what was not measured stays last
          return order === "ascending" ? compare(a, b) : compare(b, a);
        });
        body.append(...keyed.map(([, row]) => row));
      });
    });
    const search = holder.querySelector("input[type=search]");
    if (!search) continue;
    const count = holder.querySelector(".count");
    const texts = new Map([...body.rows].map((row) => [row, [...row.cells].map((c) => c.textContent).join(" ").toLowerCase()]));
    search.addEventListener("input", () => {
      const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of texts) {
        row.hidden = !wanted.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = shown === texts.size ? `${texts.size} rows` : `${shown} of ${texts.size} rows`;
    });
  }
})();
