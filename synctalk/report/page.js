/* Joins the gallery and the table of a page by its data. */

const data = JSON.parse(document.querySelector("#data").textContent);
const rows = data.table.rows.map(values => Object.fromEntries(data.table.names.map((name, index) => [name, values[index]])));
const key = (corpus, clip) => JSON.stringify([corpus ?? null, clip]);
const indices = new Map(data.clips.map((clip, index) => [key(clip.corpus, clip.id), index]));
const inGallery = new Set(data.clips.map(clip => key(clip.corpus, clip.id)));
const rowOf = new Map(rows.filter(row => inGallery.has(key(row.corpus, row.clip))).map(row => [row.method + key(row.corpus, row.clip), row]));

function describe(clip, method) {
  const row = rowOf.get(method + key(clip.corpus, clip.id));
  if (!row) return [];
  const figures = data.table.columns.filter(({ name, worst }) => worst !== null && name !== "n_windows" && row[name] !== null && row[name] !== undefined);
  const shown = figures.map(({ name, heading, decimals }) => `${heading.replace(/ [↑↓]/, "").replace(/ %/, "")} ${row[name].toFixed(decimals)}${/%/.test(heading) ? " %" : ""}`);
  return [" ", ...(row.hypothesis === null || row.hypothesis === undefined ? [] : readAs(row)), element("br"), element("small", { textContent: shown.join(" · ") })];
}

const stage = document.querySelector("#gallery");
let gallery = null;
if (data.clips.length) {
  gallery = new Gallery(stage, data.clips, { fps: data.fps, methods: data.methods, shown: data.shown, describe });
  gallery.open(0);
} else stage.hidden = true;

const several = new Set(rows.map(row => row.method)).size > 1;
const columns = data.table.columns.filter(({ name }) => name !== "method" || several);
const table = new ClipTable(document.querySelector("#clips"), rows, columns, {
  filters: ["corpus", "method"],
  sort: data.table.sort,
  canLead: row => indices.has(key(row.corpus, row.clip)),
  lead: row => {
    gallery.open(indices.get(key(row.corpus, row.clip)), row.method);
    stage.scrollIntoView({ block: "start" });
    gallery.buttons.play.focus({ preventScroll: true });
  },
});
