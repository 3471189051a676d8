// Tables that sort and filter, values of figures, texts that copy, areas that show that they scroll. Buttons and fields
// are made here: without the script there are none, and the browser alone shows the values under a mouse.
"use strict";
const collator = new Intl.Collator("en", { numeric: true });
const make = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

// The first number in a cell, "< 0.001" just below 0.001; null where there is none.
const number = text => {
  const found = text.replace(/,(?=\d{3})/g, "").replace("−", "-").match(/-?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i);
  return found && Number(found[0]) * (text.startsWith("<") ? 0.999 : 1);
};

const cell = (row, column) => row.cells[column].textContent.trim();

// A column of numbers is one whose cells begin with a number, an interval or a bound.
const isNumeric = (rows, column) => rows.every(row => /^$|^[<≤≥[ ]*[-−+]?\.?\d/.test(cell(row, column)));

// Empty cells come last, upwards and downwards.
const compare = (column, numeric, sign) => (one, other) => {
  const [a, b] = [cell(one, column), cell(other, column)];
  const [x, y] = numeric ? [number(a), number(b)] : [a || null, b || null];
  if (x === null || y === null) return (x === null) - (y === null);
  return sign * (numeric ? x - y : collator.compare(x, y));
};

const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

const sortable = table => {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = NEXT[head.getAttribute("aria-sort") || "none"];
      heads.forEach(other => other.removeAttribute("aria-sort"));
      const sorted = [...rows];
      if (order !== "none") {
        head.setAttribute("aria-sort", order);
        sorted.sort(compare(column, isNumeric(rows, column), order === "ascending" ? 1 : -1));
      }
      body.append(...sorted);
    });
  });
};

// Rows that hold every word that is typed.
const filterable = (table, before) => {
  const rows = [...table.tBodies[0].rows], texts = rows.map(row => row.textContent.toLowerCase());
  const field = make("input", { type: "search" });
  const count = make("span", { textContent: `${rows.length} rows` });
  count.setAttribute("role", "status");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    rows.forEach((row, place) => { row.hidden = !words.every(word => texts[place].includes(word)); });
    count.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
  });
  before.before(make("div", { className: "tools" }, make("label", {}, "Filter ", field), count));
};

const copyable = block => {
  const button = make("button", { type: "button", textContent: "Copy" });
  const said = make("span");
  said.setAttribute("role", "status");
  button.addEventListener("click", () => navigator.clipboard.writeText(block.textContent).then(
    () => { said.textContent = "copied"; },
    () => { getSelection().selectAllChildren(block); said.textContent = "selected; copy it with the keyboard"; }));
  block.before(make("div", { className: "tools" }, button, said));
};

// The value of a point of a figure: under the pointer, at a touch near it, and with the focus, which arrow keys move from
// point to point. A screen reader reads the values instead of the drawing.
const TOUCH = 24; // pixels from a point
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

const readable = card => {
  const svg = card.querySelector("svg"), values = svg.querySelector(".values"), points = [...values.children];
  if (!points.length) return;
  const box = make("div", { className: "value", hidden: true });
  box.setAttribute("aria-hidden", "true");
  card.after(box);
  svg.setAttribute("role", "group");
  [...svg.children].forEach(part => part === values || part.setAttribute("aria-hidden", "true"));
  points.forEach((point, place) => {
    point.setAttribute("role", "img");
    point.setAttribute("aria-label", point.textContent);
    point.replaceChildren();
    point.setAttribute("tabindex", place ? -1 : 0);
  });

  const middle = point => {
    const { x, y, width, height } = point.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  };
  const show = point => {
    box.hidden = !point;
    if (!point) return;
    box.textContent = point.getAttribute("aria-label");
    const [x, y] = middle(point), frame = card.parentElement.getBoundingClientRect();
    box.style.left = `${Math.max(0, Math.min(x - frame.x - box.offsetWidth / 2, frame.width - box.offsetWidth))}px`;
    box.style.top = `${y - frame.y - box.offsetHeight - 8}px`;
  };
  const focused = () => points.find(point => point === document.activeElement);
  values.addEventListener("pointerover", event => show(event.target));
  values.addEventListener("pointerout", () => show(focused()));
  // Listeners for the focus are the card's: a part of an SVG that has some could be reached by Tab itself.
  card.addEventListener("focusout", () => show());
  card.addEventListener("focusin", event => {
    if (!points.includes(event.target)) return;
    points.forEach(point => point.setAttribute("tabindex", point === event.target ? 0 : -1));
    show(event.target);
  });
  values.addEventListener("keydown", event => {
    if (event.key === "Escape") show();
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    const place = points.indexOf(event.target) + STEPS[event.key];
    points[Math.max(0, Math.min(place, points.length - 1))].focus();
  });
  svg.addEventListener("click", event => {
    const away = point => Math.hypot(...middle(point).map((at, axis) => at - [event.clientX, event.clientY][axis]));
    const nearest = points.reduce((one, other) => (away(other) < away(one) ? other : one));
    if (away(nearest) <= TOUCH) nearest.focus();
    else focused()?.blur();
  });
  card.addEventListener("scroll", () => show(focused()), { passive: true });
};

// Heat maps show the first of their views, and another one where it is chosen.
const viewable = maps => {
  const scales = [...maps.querySelectorAll(".scale")];
  if (scales.length < 2) return;
  const choice = make("select", {}, ...scales.map((scale, place) => new Option(scale.dataset.name, "abc"[place])));
  choice.addEventListener("change", () => { maps.dataset.view = choice.value; });
  maps.prepend(make("div", { className: "tools" }, make("label", {}, "Colours show ", choice)));
};

// Marks an area while more of it lies to the right.
const marked = area => {
  const mark = () => area.classList.toggle("more", area.scrollLeft + area.clientWidth < area.scrollWidth - 2);
  area.addEventListener("scroll", mark, { passive: true });
  new ResizeObserver(mark).observe(area);
};

document.querySelectorAll(".scroll, .card, pre").forEach(marked);
document.querySelectorAll(".scroll > table").forEach(table => {
  sortable(table);
  if (table.tBodies[0].rows.length > 7) filterable(table, table.parentElement);
});
document.querySelectorAll(".card").forEach(readable);
document.querySelectorAll(".copy").forEach(copyable);
document.querySelectorAll("[data-view]").forEach(viewable);
