"use strict";
// The page is whole without this: it only hides lines, moves the focus and shows details in place.
(() => {
  const root = document.documentElement;
  const get = (id) => document.getElementById(id);
  const form = get("filters");
  const panel = get("panel");
  const lines = [...document.querySelectorAll("tr.line")];
  const contents = [...document.querySelectorAll(".contents a")];
  const texts = new Map(lines.map((line) => [line, words(line)]));
  root.classList.replace("no-js", "js");
  form.hidden = false;

  function words(line) {
    const section = line.parentElement.querySelector(".section").textContent;
    const place = line.closest(".document").id.slice(4) + section.trim();
    return (line.querySelector("th").textContent + " " + place).toLowerCase();
  }

  // Filters

  // The boxes that are ticked; none means that this does not matter.
  function chosen(name) {
    return new Set([...form.querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value));
  }

  function asked(line, preset) {
    const statuses = line.dataset.status.split(" ");
    if (preset === "differs") return "differs" in line.dataset;
    if (preset === "lonely") return "lonely" in line.dataset;
    if (preset.startsWith("lonely-")) return line.dataset.lonely === preset.slice(7);
    if (preset === "failing") return statuses.some((each) => each === "fail" || each === "known");
    if (preset === "unjudged") {
      return statuses.every((each) => ["untested", "pending", "not-in-force"].includes(each));
    }
    return true;
  }

  function filter() {
    const levels = chosen("level");
    const statuses = chosen("status");
    const sought = get("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const preset = get("preset").value;
    let count = 0;
    for (const line of lines) {
      const shown = (!levels.size || levels.has(line.dataset.level)) &&
        (!statuses.size || line.dataset.status.split(" ").some((each) => statuses.has(each))) &&
        asked(line, preset) && sought.every((each) => texts.get(line).includes(each));
      line.hidden = !shown;
      count += shown;
    }
    for (const body of document.querySelectorAll(".matrix tbody")) {
      body.hidden = !body.querySelector("tr.line:not([hidden])");
    }
    for (const part of document.querySelectorAll(".document")) {
      part.hidden = !part.querySelector("tr.line:not([hidden])");
      const entry = contents.find((each) => each.getAttribute("href") === `#${part.id}`);
      entry.parentElement.hidden = part.hidden;
    }
    get("shown").textContent = `${count} of ${lines.length} requirements`;
    get("nothing").hidden = count > 0;
    enter();
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  get("all").addEventListener("click", () => {
    form.reset();
    get("search").focus();
  });

  // Arrow keys: the matrix is one stop of the Tab key

  const stops = (line) => [...line.querySelectorAll("th > a, td.cell > a")];
  let current = null;

  function enter() {
    if (current && !current.closest("tr").hidden && !current.closest("section[hidden]")) return;
    const first = lines.find((line) => !line.hidden);
    make(first ? stops(first)[0] : null);
  }

  function make(link) {
    if (current) current.tabIndex = -1;
    current = link;
    if (link) link.tabIndex = 0;
  }

  function move(event) {
    const line = current.closest("tr");
    const shown = lines.filter((each) => !each.hidden);
    const across = stops(line);
    let row = shown.indexOf(line);
    let column = across.indexOf(current);
    switch (event.key) {
      case "ArrowDown": row += 1; break;
      case "ArrowUp": row -= 1; break;
      case "ArrowRight": column += 1; break;
      case "ArrowLeft": column -= 1; break;
      case "Home": if (event.ctrlKey) row = 0; column = 0; break;
      case "End": if (event.ctrlKey) row = shown.length - 1; column = across.length - 1; break;
      case "PageDown": row = Math.min(row + 15, shown.length - 1); break;
      case "PageUp": row = Math.max(row - 15, 0); break;
      default: return;
    }
    event.preventDefault();
    if (!shown[row] || !across[column]) return;
    make(stops(shown[row])[column]);
    current.focus();
    current.scrollIntoView({ block: "nearest" });
  }

  for (const line of lines) for (const link of stops(line)) link.tabIndex = -1;
  for (const table of document.querySelectorAll(".matrix")) {
    table.addEventListener("focusin", (event) => {
      if (event.target.matches("tr.line th > a, td.cell > a")) make(event.target);
    });
    table.addEventListener("keydown", (event) => {
      if (event.target === current && !event.altKey && !event.metaKey) move(event);
    });
  }

  // Details

  let origin = null;
  let home = null;

  function open(id) {
    const target = get(id);
    const detail = target && target.closest(".detail");
    if (!detail) return false;
    close();
    home = document.createComment("");
    detail.replaceWith(home);
    get("shown-detail").replaceChildren(detail);
    panel.setAttribute("aria-label", detail.querySelector("h3").textContent);
    if (!panel.open) panel.showModal();
    const first = detail.querySelector(".by-runtime");
    panel.scrollTop = 0;
    if (target !== detail && target !== first) target.scrollIntoView({ block: "start" });
    target.focus({ preventScroll: true });
    return true;
  }

  function close() {
    const detail = get("shown-detail").firstElementChild;
    if (detail) home.replaceWith(detail);
  }

  panel.addEventListener("close", () => {
    close();
    if (origin) origin.focus();
    if (location.hash.startsWith("#detail-")) history.replaceState(null, "", "#matrix");
  });
  panel.addEventListener("click", (event) => {
    if (event.target === panel) panel.close(); // on the backdrop
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const id = decodeURIComponent(link.getAttribute("href").slice(1));
    if (!link.getAttribute("href").startsWith("#detail-")) return;
    origin = link;
    if (open(id)) {
      event.preventDefault();
      history.replaceState(null, "", `#${id}`);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || panel.open || event.target.matches("input, select")) return;
    event.preventDefault();
    get("search").focus();
  });

  // What the address asks for

  function follow() {
    const id = decodeURIComponent(location.hash.slice(1));
    if (id.startsWith("detail-")) {
      open(id);
    } else {
      const line = get(id);
      if (line && line.closest("[hidden]")) {
        form.reset();
        setTimeout(() => line.scrollIntoView());
      }
    }
  }
  window.addEventListener("hashchange", follow);
  filter();
  if (location.hash) follow();
})();
