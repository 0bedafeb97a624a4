"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const STANCES = DATA.labels.stance.map((label) => label.name);
const RELATED = STANCES.filter((name) => name !== "unrelated");
const VERBS = { affirm: "affirm", deny: "deny", doubt: "doubt", decline: "decline", relay: "relay", unrelated: "unrelated" };
const filters = document.getElementById("filters");
const view = document.getElementById("view");
const PAGE = 200; // rows of the statement table that are drawn at once

// Every node is made here: text is text, never markup.
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const points = new Map(); // an article's text as code points: offsets count those, JavaScript counts UTF-16
function slice(article, start, end) {
  if (!points.has(article)) points.set(article, Array.from(article.text));
  return points.get(article).slice(start, end).join("");
}
const words = (article, spans) => spans.map(([start, end]) => slice(article, start, end)).join(" … ");

// -- rows -----------------------------------------------------------------------------------------------------
const ROWS = [];
for (const story of DATA.stories)
  for (const article of story.articles)
    for (const statement of article.statements) {
      const holder = article.holders[statement.holder] || { name: statement.holder || words(article, statement.source) || "–" };
      const pairs = statement.stances === null ? [null] : statement.stances.length ? statement.stances : [{ target: null, label: "unrelated", tags: [], votes: {} }];
      for (const pair of pairs) ROWS.push({ story, article, statement, holder, pair });
    }
for (const row of ROWS)
  row.text = [row.story.id, row.story.title, row.article.publisher, row.statement.id, row.holder.name, row.holder.role, words(row.article, row.statement.content), row.pair && row.pair.why]
    .join(" ").toLowerCase();

function chosen() {
  return Object.fromEntries(new FormData(filters));
}
function matches(row, f) {
  return (!f.story || row.story.id === f.story) && (!f.split || row.story.split === f.split) &&
    (!f.target || (row.pair && `${row.story.id}.${row.pair.target}` === f.target)) &&
    (!f.stance || (row.pair && row.pair.label === f.stance)) && (!f.source_type || row.holder.type === f.source_type) &&
    (!f.disclosure || row.holder.disclosure === f.disclosure) && (!f.tag || (row.pair && row.pair.tags.includes(f.tag))) &&
    f.q.toLowerCase().split(/\s+/).every((word) => row.text.includes(word));
}

// -- parts ----------------------------------------------------------------------------------------------------
const pill = (label, text) => make("span", { class: `pill ${label}` }, text || label);
function path(row) {
  const names = row.statement.chain.map((id) => (row.article.holders[id] || { name: id }).name);
  return [...names, row.holder.name].join(" › ");
}
const kind = (holder) => [holder.type, holder.disclosure].filter((part) => part && part !== "na").join(", ");
function open(row) {
  location.hash = `#article/${row.story.id}/${row.article.id}/${row.statement.id}`;
}
function said(row) {
  return make("div", { class: `said ${row.pair.label}` },
    make("span", { class: "who" }, path(row)), make("span", { class: "meta" }, ` ${kind(row.holder)}`),
    make("button", { class: "words", type: "button", onclick: () => open(row),
      "aria-label": `${words(row.article, row.statement.content)} (${path(row)}, ${row.pair.label}, ${row.article.publisher}: show in the article)` },
      words(row.article, row.statement.content)),
    make("span", { class: "meta" }, [...row.pair.tags,
      row.pair.certainty && !["certain", "na"].includes(row.pair.certainty) ? row.pair.certainty : null].filter(Boolean).join(" · ")));
}

// -- views ----------------------------------------------------------------------------------------------------
function targetsView(rows) {
  const shown = [];
  for (const story of DATA.stories) {
    const mine = rows.filter((row) => row.story === story && row.pair && row.pair.target && row.pair.label !== "unrelated");
    const cards = story.targets.map((target) => targetCard(story, target, mine.filter((row) => row.pair.target === target.id))).filter(Boolean);
    if (cards.length) shown.push(make("h2", {}, story.title), make("p", { class: "meta" }, [story.id, story.domain, story.split].filter(Boolean).join(" · ")), ...cards);
  }
  return shown;
}
// What was said under one stance, outlet by outlet in the order of publication.
function byOutlet(rows) {
  const outlets = [...new Set(rows.map((row) => row.article))];
  return outlets.flatMap((article) => [
    make("h5", {}, article.publisher, make("span", {}, article.published || "")),
    ...rows.filter((row) => row.article === article).map(said)]);
}
function targetCard(story, target, rows) {
  if (!rows.length) return null;
  const by = Object.fromEntries(RELATED.map((label) => [label, rows.filter((row) => row.pair.label === label)]));
  const bar = make("div", { class: "bar", role: "img", "aria-label": RELATED.map((label) => `${label} ${by[label].length}`).join(", ") },
    ...RELATED.filter((label) => by[label].length).map((label) => make("span", { class: label, style: `flex:${by[label].length}` })));
  const columns = RELATED.map((label) => make("div", { class: "column" },
    make("h4", { class: label }, VERBS[label], make("span", {}, String(by[label].length))),
    ...(by[label].length ? byOutlet(by[label]) : [make("p", { class: "none" }, "nobody")])));
  return make("section", { class: "target" }, make("h3", {}, target.text),
    target.not && target.not.length ? make("p", { class: "meta" }, `cannot be true together with: ${target.not.map((id) => story.targets.find((other) => other.id === id)?.text || id).join(" · ")}`) : null,
    bar, make("div", { class: "columns" }, ...columns));
}

function articleView(rows) {
  const [, storyId, articleId, statementId] = location.hash.split("/").map(decodeURIComponent);
  const first = rows[0];
  const story = DATA.stories.find((one) => one.id === storyId) || (first && first.story) || DATA.stories[0];
  if (!story) return [make("p", { class: "none" }, "no article")];
  const article = story.articles.find((one) => one.id === articleId) || (first && first.story === story ? first.article : story.articles[0]);
  const mine = ROWS.filter((row) => row.article === article);
  const target = chosen().target.split(".")[1];
  const pick = make("select", { "aria-label": "Article" }, ...DATA.stories.flatMap((one) => one.articles.map((a) =>
    make("option", { value: `#article/${one.id}/${a.id}` }, `${one.id} / ${a.id}`))));
  pick.value = `#article/${story.id}/${article.id}`;
  pick.addEventListener("change", () => { location.hash = pick.value; });
  const notes = article.statements.map((statement) => note(mine.filter((row) => row.statement === statement), statementId));
  setTimeout(() => { const on = view.querySelector("mark.on"); if (on) on.scrollIntoView({ block: "center" }); });
  return [make("p", {}, pick), make("p", { class: "meta" }, [article.publisher, article.published, story.split].filter(Boolean).join(" · ")),
    make("div", { class: "reading" }, make("article", { class: "text" }, ...paragraphs(article, mine, statementId, target)),
      make("aside", { class: "notes", "aria-label": "Statements of the article" }, ...notes))];
}
function strongest(rows, target) {
  const labels = rows.filter((row) => row.pair && (!target || row.pair.target === target)).map((row) => row.pair.label);
  return RELATED.find((label) => labels.includes(label)) || "unrelated";
}
function paragraphs(article, mine, statementId, target) {
  const cuts = [];
  for (const statement of article.statements) {
    const label = strongest(mine.filter((row) => row.statement === statement), target);
    for (const [start, end] of statement.content) cuts.push({ start, end, label, statement });
  }
  const shown = [];
  let at = 0;
  for (const line of article.text.split("\n")) {
    const length = Array.from(line).length;
    const zone = (article.zones.find(([start, end]) => start <= at && at < end) || [0, 0, "body"])[2];
    shown.push(make("p", { class: zone }, ["body", "lede", "headline"].includes(zone) ? null : make("span", { class: "zone" }, zone),
      ...marked(article, at, at + length, cuts, statementId)));
    at += length + 1;
  }
  return shown;
}
function marked(article, start, end, cuts, statementId) {
  const here = cuts.filter((cut) => cut.start < end && cut.end > start);
  const edges = [...new Set([start, end, ...here.flatMap((cut) => [Math.max(cut.start, start), Math.min(cut.end, end)])])].sort((a, b) => a - b);
  return edges.slice(1).map((edge, i) => {
    const over = here.filter((cut) => cut.start <= edges[i] && cut.end >= edge).sort((a, b) => (a.end - a.start) - (b.end - b.start));
    const text = slice(article, edges[i], edge);
    if (!over.length) return text;
    const on = over.some((cut) => cut.statement.id === statementId);
    return make("mark", { class: `${over[0].label}${on ? " on" : ""}`, title: over.map((cut) => cut.statement.id).join(", "), onclick: () => {
      const parts = location.hash.split("/");
      location.hash = ["#article", parts[1] || storyOf(article).id, article.id, over[0].statement.id].join("/");
    } }, text);
  });
}
const storyOf = (article) => DATA.stories.find((story) => story.articles.includes(article));
function note(rows, statementId) {
  const row = rows[0];
  const box = make("section", { class: `note${row.statement.id === statementId ? " on" : ""}`, id: `note-${row.statement.id}` },
    make("p", {}, make("button", { class: "linklike", type: "button", onclick: () => open(row) }, row.statement.id), " ",
      make("strong", {}, path(row)), " ", make("span", { class: "meta" }, [kind(row.holder), row.statement.form, row.statement.of && `mention of ${row.statement.of}`].filter(Boolean).join(" · "))));
  for (const one of rows) {
    if (!one.pair) { box.append(make("p", { class: "meta" }, "not annotated")); continue; }
    const votes = Object.entries(one.pair.votes).map(([name, label]) => `${name} ${label}`).join(", ");
    const target = one.story.targets.find((t) => t.id === one.pair.target);
    box.append(make("p", {}, pill(one.pair.label), " ", target ? target.text : "every target",
      make("span", { class: "meta" }, [" ", ...[...one.pair.tags, one.pair.why, votes && `votes: ${votes}`].filter(Boolean).map((part) => ` · ${part}`)].join(""))));
  }
  if (row.statement.id === statementId) setTimeout(() => box.scrollIntoView({ block: "nearest" }));
  return box;
}

function statementsView(rows) {
  const head = make("tr", {}, ...["Statement", "Holder", "Source type", "Stance", "Target", "Words"].map((name) => make("th", { scope: "col" }, name)));
  const body = make("tbody", {});
  const more = make("button", { type: "button" }, "More");
  let drawn = 0;
  function draw() {
    for (const row of rows.slice(drawn, drawn + PAGE)) {
      const target = row.pair && row.story.targets.find((one) => one.id === row.pair.target);
      body.append(make("tr", {}, make("td", {}, make("button", { class: "linklike", type: "button", onclick: () => open(row) }, `${row.article.id} ${row.statement.id}`)),
        make("td", {}, path(row)), make("td", {}, kind(row.holder)),
        make("td", {}, row.pair ? pill(row.pair.label) : "–", ...(row.pair ? row.pair.tags.map((tag) => make("span", { class: "meta" }, ` ${tag}`)) : [])),
        make("td", {}, target ? target.text : "–"), make("td", {}, words(row.article, row.statement.content))));
    }
    drawn += PAGE;
    more.hidden = drawn >= rows.length;
  }
  more.addEventListener("click", draw);
  draw();
  return [make("table", {}, make("thead", {}, head), body), more];
}

// -- wiring ---------------------------------------------------------------------------------------------------
const VIEWS = { targets: targetsView, article: articleView, statements: statementsView };
function draw() {
  const name = location.hash.slice(1).split("/")[0];
  const current = name in VIEWS ? name : "targets";
  const f = chosen();
  const rows = ROWS.filter((row) => matches(row, f));
  for (const link of document.querySelectorAll("nav a"))
    if (link.dataset.view === current) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  document.getElementById("count").textContent = `${new Set(rows.map((row) => row.statement)).size} statements, ${rows.filter((row) => row.pair && row.pair.target).length} positions on ${new Set(rows.filter((row) => row.pair && row.pair.target).map((row) => row.story.id + row.pair.target)).size} targets`;
  view.replaceChildren(...VIEWS[current](rows));
}
function options(name, pairs) {
  filters.elements[name].replaceChildren(make("option", { value: "" }, "all"), ...pairs.map(([value, text]) => make("option", { value }, text)));
}
function targetOptions() {
  const story = filters.elements.story.value;
  options("target", DATA.stories.filter((one) => !story || one.id === story).flatMap((one) => one.targets.map((t) => [`${one.id}.${t.id}`, t.text])));
}
options("story", DATA.stories.map((story) => [story.id, story.title]));
options("split", [...new Set(DATA.stories.map((story) => story.split))].map((name) => [name, name]));
for (const [name, list] of [["stance", "stance"], ["source_type", "source_type"], ["disclosure", "disclosure"], ["tag", "tag"]])
  options(name, DATA.labels[list].map((label) => [label.name, label.title]));
targetOptions();
filters.addEventListener("input", (event) => { if (event.target.name === "story") targetOptions(); draw(); });
filters.addEventListener("reset", () => setTimeout(() => { targetOptions(); draw(); }));
filters.addEventListener("submit", (event) => event.preventDefault());
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); view.focus(); view.scrollIntoView(); });
window.addEventListener("hashchange", draw);
draw();
