// Tables that sort and filter, texts that copy, areas that show that they scroll. Buttons and fields are made here:
// without the script there are none.
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
document.querySelectorAll(".copy").forEach(copyable);
