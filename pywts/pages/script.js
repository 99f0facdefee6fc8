"use strict";

// Tables that are filled from data beside them; see macros.html.j2. Everything from a file becomes text, never markup.
const ROWS_AT_A_TIME = 300;
const SVG = "http://www.w3.org/2000/svg";

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function inBytes(count) {
  if (count < 2 ** 20) return count.toLocaleString("en-US");
  const units = ["MiB", "GiB", "TiB", "PiB"];
  let size = count / 2 ** 20, unit = 0;
  while (size >= 1024 && unit < units.length - 1) { size /= 1024; ++unit; }
  return `${size.toFixed(1)} ${units[unit]}`;
}

function inWords(value, type) {
  if (value === null || value === undefined) return "";
  if (type === "bytes") return inBytes(value);
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toLocaleString("en-US") : String(Number(value.toPrecision(5)));
}

function bars(histogram, width, height) {
  const [first, ...counts] = histogram;
  const most = Math.max(...counts);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `magnitudes from 2^${first} to 2^${first + counts.length}`);
  const step = width / counts.length;
  counts.forEach((count, place) => {
    const bar = document.createElementNS(SVG, "rect");
    const tall = count ? Math.max(count / most * height, 1) : 0;
    bar.setAttribute("x", (place * step + step * 0.08).toFixed(2));
    bar.setAttribute("y", (height - tall).toFixed(2));
    bar.setAttribute("width", (step * 0.84).toFixed(2));
    bar.setAttribute("height", tall.toFixed(2));
    const title = document.createElementNS(SVG, "title");
    title.textContent = `from 2^${first + place}: ${count.toLocaleString("en-US")}`;
    bar.append(title);
    svg.append(bar);
  });
  return svg;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", {numeric: true});
}

class DataTable {
  constructor(holder) {
    this.data = JSON.parse(document.getElementById(holder.dataset.table).textContent);
    const texts = this.data.columns.flatMap((column, place) => column.type === "text" ? [place] : []);
    this.searched = this.data.rows.map((row) => texts.map((place) => row[place] ?? "").join(" ").toLowerCase());
    this.shown = this.data.rows.map((_, place) => place);
    this.sorted = {column: -1, descending: false};
    this.build(holder);
    this.draw();
  }

  build(holder) {
    this.search = element("input", {type: "search", placeholder: "Filter", ariaLabel: "Filter the rows"});
    this.count = element("span", {ariaLive: "polite"});
    this.heads = this.data.columns.map((column, place) => {
      const button = element("button", {type: "button", textContent: column.name});
      button.addEventListener("click", () => this.sortBy(place));
      const head = element("th", {scope: "col", className: this.classOf(column)}, button);
      head.setAttribute("aria-sort", "none");
      return head;
    });
    this.body = element("tbody");
    this.more = element("button", {type: "button", className: "more"});
    this.more.addEventListener("click", () => this.drawMore());
    const table = element("table", {}, element("thead", {}, element("tr", {}, ...this.heads)), this.body);
    let waiting = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.filter(), 80);
    });
    holder.replaceChildren(
      element("div", {className: "tools"}, this.search, this.count), element("div", {className: "scroll"}, table), this.more);
  }

  classOf(column) { return column.type === "text" || column.type === "histogram" ? "" : "right"; }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.shown = [];
    this.searched.forEach((text, place) => { if (words.every((word) => text.includes(word))) this.shown.push(place); });
    this.order();
    this.draw();
  }

  sortBy(column) {
    const type = this.data.columns[column].type;
    const again = this.sorted.column === column;
    this.sorted = {column, descending: again ? !this.sorted.descending : type === "number" || type === "bytes"};
    this.heads.forEach((head, place) => head.setAttribute(
      "aria-sort", place !== column ? "none" : this.sorted.descending ? "descending" : "ascending"));
    this.order();
    this.draw();
  }

  order() {
    const {column, descending} = this.sorted;
    if (column < 0) return;
    const histogram = this.data.columns[column].type === "histogram";
    const key = (place) => {
      const value = this.data.rows[place][column];
      return histogram && value ? value[0] : value;
    };
    this.shown.sort((a, b) => {
      const left = key(a), right = key(b);
      if (left === null || right === null) return (left === null) - (right === null) || a - b;  // empty ones are last
      return (descending ? compare(right, left) : compare(left, right)) || a - b;
    });
  }

  draw() {
    this.body.replaceChildren();
    this.drawn = 0;
    this.drawMore();
  }

  drawMore() {
    const next = this.shown.slice(this.drawn, this.drawn + ROWS_AT_A_TIME);
    this.body.append(...next.map((place) => this.row(place)));
    this.drawn += next.length;
    const left = this.shown.length - this.drawn;
    this.more.hidden = left === 0;
    this.more.textContent = `Show ${Math.min(left, ROWS_AT_A_TIME)} more`;
    const [drawn, found, all] = [this.drawn, this.shown.length, this.data.rows.length].map((n) => n.toLocaleString("en-US"));
    this.count.textContent = this.drawn < this.shown.length ? `the first ${drawn} of ${found}` : `${found} of ${all}`;
  }

  row(place) {
    const values = this.data.rows[place];
    const made = element("tr", {}, ...this.data.columns.map((column, at) => {
      const cell = element("td", {className: at === 0 ? "name" : this.classOf(column)});
      if (column.type === "histogram") {
        if (values[at]) cell.append(bars(values[at], 90, 22));
      } else {
        cell.textContent = inWords(values[at], column.type);
      }
      return cell;
    }));
    const detail = this.data.details?.[place];
    if (detail) {
      const button = element("button", {type: "button", textContent: made.firstChild.textContent, ariaExpanded: "false"});
      button.addEventListener("click", () => this.toggle(button, made, place));
      made.firstChild.replaceChildren(button);
    }
    return made;
  }

  toggle(button, row, place) {
    const open = button.ariaExpanded === "true";
    button.ariaExpanded = String(!open);
    if (open) { row.nextSibling.remove(); return; }
    const list = element("dl", {className: "pairs"}, ...this.data.details[place].flatMap(
      ([name, value]) => [element("dt", {textContent: name}), element("dd", {textContent: value})]));
    const cell = element("td", {colSpan: this.data.columns.length}, list);
    const at = this.data.columns.findIndex((column) => column.type === "histogram");
    const histogram = at < 0 ? null : this.data.rows[place][at];
    if (histogram) {
      const last = histogram[0] + histogram.length - 1;
      cell.append(bars(histogram, 480, 120), element("small", {textContent: `magnitudes, from 2^${histogram[0]} to 2^${last}`}));
    }
    row.after(element("tr", {className: "detail"}, cell));
  }
}

for (const holder of document.querySelectorAll("[data-table]")) new DataTable(holder);

for (const button of document.querySelectorAll("button[data-fold]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    for (const part of document.querySelectorAll(`#${button.dataset.fold} details`)) part.open = button.dataset.open === "yes";
  });
}

const theme = document.querySelector("button.theme");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
function isDark() { return (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark"; }
function nameTheme() { theme.textContent = isDark() ? "Light" : "Dark"; }
theme.hidden = false;
theme.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
prefersDark.addEventListener("change", nameTheme);
nameTheme();

// What is folded is not printed, so it is opened for the printer.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const part of opened) part.open = true;
});
addEventListener("afterprint", () => { for (const part of opened) part.open = false; });
