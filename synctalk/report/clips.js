/* A table of clips drawn from rows: sorted by any column, worst first; filtered; a page of rows at a time. */

const PAGE = 50;

class ClipTable {
  /* `columns`: {name, heading, decimals, worst: "low" | "high" | "far" | null}; the worst come first at the first press of
     a heading, the best at the second; rows without a figure are last always. `rows`: {clip, method, hypothesis, hypothesis_right: a digit a word,
     ...figures}; `filters`: names of text columns that are chosen from a list; `lead(row)`: opens the clip, or null. */
  constructor(root, rows, columns, { filters, sort, lead, canLead }) {
    Object.assign(this, { root, rows, columns, lead, canLead, sort, reversed: false, limit: PAGE });
    this.chosen = {};
    this.filters = filters.map(name => this.makeFilter(name));
    this.find = element("input", { type: "search", placeholder: "clip or words", "aria-label": "clip or words", oninput: () => this.draw(PAGE) });
    this.tally = element("output", { className: "soft" });
    this.heads = columns.map(column => element("th", { scope: "col", className: column.worst === null ? "left" : "" },
      element("button", { type: "button", textContent: column.heading, title: column.title ?? "", "data-sort": column.name, onclick: () => this.sortBy(column.name) })));
    this.body = element("tbody");
    this.more = element("button", { type: "button", textContent: "More rows", onclick: () => this.draw(this.limit + PAGE) });
    root.append(
      element("div", { className: "bar" }, ...this.filters, this.find, this.tally),
      element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "figures of every clip" },
        element("table", {}, element("thead", {}, element("tr", {}, ...this.heads)), this.body)),
      this.more);
    this.draw(PAGE);
  }

  makeFilter(name) {
    const values = [...new Set(this.rows.map(row => row[name]))];
    const list = element("select", { "data-filter": name, "aria-label": name, onchange: () => { this.chosen[name] = list.value; this.draw(PAGE); } },
      element("option", { value: "", textContent: "all" }), ...values.map(value => element("option", { value, textContent: value })));
    return element("label", { hidden: values.length < 2 }, `${name} `, list);
  }

  sortBy(name) {
    this.reversed = this.sort === name && !this.reversed;
    this.sort = name;
    this.draw(PAGE);
  }

  get sorted() {
    const { name, worst } = this.columns.find(column => column.name === this.sort);
    const rank = row => worst === "high" ? -row[name] : worst === "far" ? -Math.abs(row[name]) : row[name];
    const missing = row => row[name] === null || row[name] === undefined;
    const words = this.find.value.trim().toLowerCase();
    const kept = this.rows.filter(row => Object.entries(this.chosen).every(([key, value]) => !value || row[key] === value)
      && (!words || `${row.clip} ${row.reference ?? ""} ${row.hypothesis ?? ""}`.toLowerCase().includes(words)));
    return kept.sort((a, b) => {
      if (missing(a) || missing(b)) return missing(a) - missing(b);
      const x = rank(a), y = rank(b);
      return (x < y ? -1 : x > y ? 1 : 0) * (this.reversed ? -1 : 1);
    });
  }

  draw(limit) {
    this.limit = limit;
    const rows = this.sorted;
    this.tally.textContent = `${rows.length} of ${this.rows.length} rows`;
    this.columns.forEach((column, index) => {
      const up = column.worst === "high" || column.worst === "far" ? this.reversed : !this.reversed;
      if (column.name === this.sort) this.heads[index].setAttribute("aria-sort", up ? "ascending" : "descending");
      else this.heads[index].removeAttribute("aria-sort");
    });
    this.body.replaceChildren(...rows.slice(0, limit).map(row => element("tr", {}, ...this.columns.map(column => this.cell(row, column)))));
    this.more.hidden = rows.length <= limit;
  }

  cell(row, { name, decimals, worst }) {
    const value = row[name];
    if (name === "clip") {
      const open = this.canLead(row) ? element("button", { type: "button", "data-open": value, textContent: value, title: "show in the gallery", onclick: () => this.lead(row) }) : value;
      return element("th", { scope: "row", className: "left" }, open);
    }
    if (name.endsWith("hypothesis")) {
      return element("td", { className: "left wrap" }, ...readAs(row, name), ...(name === "hypothesis" && row.reference ? [element("br"), element("span", { className: "soft", textContent: row.reference })] : []));
    }
    if (worst === null) return element("td", { className: "left", textContent: value });
    return element("td", { textContent: value === null || value === undefined ? "–" : value.toFixed(decimals) });
  }
}

/* What an observer read: wrong words are marked; the row has a digit a word for what is right. */
function readAs(row, name = "hypothesis") {
  const hypothesis = row[name], right = row[`${name}_right`];
  if (hypothesis === null || hypothesis === undefined) return ["–"];
  if (hypothesis === "") return [element("i", { className: "no", textContent: "nothing read" })];
  return [element("span", { className: "words" }, ...hypothesis.split(/\s+/).flatMap((word, index) => [
    right && right[index] === "0" ? element("span", { className: "no", textContent: word }) : word, " "]))];
}
