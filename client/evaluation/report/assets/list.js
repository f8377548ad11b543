// The list: which utterances in what order, a page of them at a time, and one that is current.

const PAGE = 25;

const state = {
  search: "",
  show: "all",
  system: null,
  sort: "errors",
  reversed: false,
  chosen: null, // a word or a pair of systems: { label, holds(utterance, system) }
  found: [],
  page: 0,
};

const KEYS = {
  errors: (utterance) => -errorsOf(utterance, state.system),
  disagreement: (utterance) => -disagreementOf(utterance),
  confidence: (utterance) => confidenceOf(utterance, state.system) ?? Infinity,
  duration: (utterance) => -utterance.duration,
  line: (utterance) => utterance.line,
};

const SHOWN = {
  all: () => true,
  wrong: (utterance) => errorsOf(utterance, state.system) > 0,
  right: (utterance) => looked(utterance, state.system).every((recognized) => recognized.errors === 0),
  different: (utterance) => disagreementOf(utterance) > 0,
};

const hasKind = (utterance) => looked(utterance, state.system).some((recognized) => recognized.steps.includes(state.show));

/** Apply search, filter and order, and show the first page. */
function find() {
  const asked = state.search.trim().toLowerCase();
  const holds = SHOWN[state.show] ?? hasKind;
  state.found = report.utterances.filter((utterance) =>
    holds(utterance)
    && (state.chosen === null || state.chosen.holds(utterance, state.system))
    && (asked === "" || haystackOf(utterance).includes(asked)));
  sortFound();
  state.page = 0;
  drawPage();
}

function sortFound() {
  if (state.sort === "name") {
    state.found.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }) || one.place - other.place);
  } else {
    const keys = new Map(state.found.map((utterance) => [utterance, KEYS[state.sort](utterance)]));
    state.found.sort((one, other) => {
      const [first, second] = [keys.get(one), keys.get(other)];
      return first < second ? -1 : first > second ? 1 : one.place - other.place;
    });
  }
  if (state.reversed) state.found.reverse();
}

const list = document.getElementById("utterances");

function drawPage() {
  player.stop();
  const from = state.page * PAGE;
  const shown = state.found.slice(from, from + PAGE);
  list.replaceChildren(...shown.map(row));
  if (list.firstElementChild) makeCurrent(list.firstElementChild);
  const total = report.utterances.length;
  document.getElementById("count").textContent = state.found.length === 0
    ? "No utterances match."
    : `${from + 1} to ${from + shown.length} of ${state.found.length.toLocaleString("en")}`
      + (state.found.length < total ? `, out of ${total.toLocaleString("en")}` : "");
  const pages = Math.max(1, Math.ceil(state.found.length / PAGE));
  document.getElementById("page").textContent = `Page ${state.page + 1} of ${pages}`;
  document.getElementById("previous").disabled = state.page === 0;
  document.getElementById("next").disabled = state.page >= pages - 1;
}

/** Go to another page; false where there is none. */
function turn(by) {
  const page = state.page + by;
  if (page < 0 || page * PAGE >= state.found.length) return false;
  state.page = page;
  drawPage();
  return true;
}

function row(utterance) {
  const name = element("bdi", { className: "name" }, utterance.name);
  const article = element("li", { className: "utterance", tabIndex: -1, ariaLabel: `${utterance.name}: ${utterance.reference}` },
    element("div", { className: "about" }, ...controls(utterance), name,
      element("span", { className: "soft" }, facts(utterance)), ...detailsButton(utterance)),
    element("div", { className: "texts" },
      element("span", { className: "said" }, "REF"),
      element("p", { className: "reference", dir: "auto" }, utterance.reference || "∅"),
      element("span"),
      ...groupsOf(utterance).flatMap((group) => recognizedRow(utterance, group))));
  article.utterance = utterance;
  return article;
}

function facts(utterance) {
  const confidence = confidenceOf(utterance, state.system);
  return [`line ${utterance.line}`]
    .concat(utterance.duration > 0 ? `${utterance.duration.toFixed(1)} s` : [])
    .concat(confidence === null ? [] : `confidence ${Math.round(confidence)} %`).join(" · ");
}

function controls(utterance) {
  if (!utterance.audio || !utterance.duration) return [element("span", { className: "soft" }, "no audio")];
  return [
    element("button", { type: "button", className: "play", tabIndex: -1, ariaLabel: `Play ${utterance.name}` }, "▶"),
    element("input", {
      type: "range", className: "position", tabIndex: -1, min: 0, max: utterance.duration, step: 0.01, value: 0,
      ariaLabel: `Position in ${utterance.name}, seconds`,
    }),
  ];
}

/** None where nothing has a place in time. */
function detailsButton(utterance) {
  const timed = utterance.recognized.some((recognized) => recognized.times.some((time) => time >= 0));
  if (!utterance.duration || !(timed || report.details[utterance.place])) return [];
  return [element("button", { type: "button", className: "more", tabIndex: -1, ariaExpanded: "false", ariaLabel: `Details of ${utterance.name}` },
    report.details[utterance.place] ? "Spectrogram" : "Timeline")];
}

function recognizedRow(utterance, group) {
  const recognized = utterance.recognized[group[0]];
  const text = element("p", { className: "recognized", dir: "auto" });
  for (const step of stepsOf(utterance, recognized)) text.append(stepElement(step), " ");
  if (!recognized.steps.replaceAll("d", "")) text.append(element("span", { className: "soft" }, "∅"));
  const errors = recognized.errors;
  return [
    element("span", { className: "systems-here" }, ...names(group, "HYP")),
    text,
    element("span", { className: `errors ${errors ? "" : "right"}`, ariaLabel: errors === 1 ? "1 error" : `${errors} errors` }, errors ? String(errors) : "✓"),
  ];
}

function stepElement(step) {
  const missed = step.kind === "s" || step.kind === "d" ? [element("del", {}, step.reference)] : [];
  if (step.kind === "d") return missed[0];
  const said = element(step.kind === "=" ? "span" : "ins", { className: "word" }, step.hypothesis);
  if (step.start !== undefined) {
    const sure = step.confidence === null ? "" : `, confidence ${step.confidence} %`;
    said.title = `${step.start.toFixed(2)}–${step.end.toFixed(2)} s${sure}`;
  }
  timed(said, step);
  return step.kind === "s" ? element("span", { className: "swapped" }, ...missed, said) : said;
}

/** The one that keys act on; only its buttons are stops of the Tab key. */
function makeCurrent(article) {
  for (const each of list.querySelectorAll(":scope > .current")) {
    each.classList.remove("current");
    each.tabIndex = -1;
    for (const control of each.querySelectorAll("button, input")) control.tabIndex = -1;
  }
  article.classList.add("current");
  article.tabIndex = 0;
  for (const control of article.querySelectorAll("button, input")) control.tabIndex = 0;
}

function toggleDetails(article) {
  const button = article.querySelector(".more");
  if (!button) return;
  const open = article.querySelector(".timeline");
  if (open) open.remove();
  else article.append(timeline(article.utterance));
  button.ariaExpanded = String(!open);
  player.tell();
}

/** Show where the player is: button, position, words, and the head on the timeline. */
function showPlaying(utterance, time, problem) {
  const article = [...list.children].find((each) => each.utterance === utterance);
  if (!article) return;
  const playing = time !== null && player.playing;
  const play = article.querySelector(".play");
  if (play) {
    play.textContent = playing ? "❚❚" : "▶";
    play.ariaLabel = `${playing ? "Pause" : "Play"} ${utterance.name}`;
    article.querySelector(".position").value = time ?? 0;
  }
  for (const word of article.querySelectorAll("[data-start]")) {
    word.classList.toggle("now", time !== null && Number(word.dataset.start) <= time && time < Number(word.dataset.end));
  }
  article.querySelector(".timeline")?.showTime(time);
  article.querySelector(".problem")?.remove();
  if (problem) article.querySelector(".about").append(element("span", { className: "problem", role: "alert" }, problem));
}

player.listeners.add(showPlaying);
