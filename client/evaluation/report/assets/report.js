// What people do: choose, sort, click, press keys, switch between light and dark.

const byId = (id) => document.getElementById(id);

report.systems.forEach((name, system) => {
  byId("system").append(element("option", { value: String(system) }, `${letterOf(system)} ${name}`));
});

byId("tools").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", (event) => { state.search = event.target.value; find(); });
byId("show").addEventListener("change", (event) => { state.show = event.target.value; find(); });
byId("sort").addEventListener("change", (event) => { state.sort = event.target.value; find(); });
byId("system").addEventListener("change", (event) => {
  state.system = event.target.value === "" ? null : Number(event.target.value);
  find();
});
byId("order").addEventListener("click", () => { state.reversed = !state.reversed; showOrder(); find(); });
byId("chosen").addEventListener("click", () => { choose(null); byId("search").focus(); });
byId("previous").addEventListener("click", () => turn(-1) && list.scrollIntoView());
byId("next").addEventListener("click", () => turn(1) && list.scrollIntoView());

function showOrder() {
  byId("order").textContent = state.reversed ? "↑" : "↓";
  byId("order").ariaPressed = String(state.reversed);
}

/** List only what holds for a word or two systems; null for no such choice. */
function choose(chosen) {
  state.chosen = chosen;
  byId("chosen").hidden = chosen === null;
  byId("chosen").replaceChildren(...(chosen ? [element("bdi", {}, chosen.label), " ✕"] : []));
  byId("chosen").ariaLabel = chosen ? `Show more than ${chosen.label}` : "";
  find();
}

function choiceOf({ kind, reference, hypothesis, better, worse }) {
  if (better !== undefined) {
    const [one, other] = [Number(better), Number(worse)];
    return {
      label: `${letterOf(one)} better than ${letterOf(other)}`,
      holds: (utterance) => utterance.recognized[one].errors < utterance.recognized[other].errors,
    };
  }
  return {
    label: [reference, hypothesis].filter(Boolean).join(" → ") + (kind === "d" ? " deleted" : kind === "i" ? " inserted" : ""),
    holds: (utterance, system) => looked(utterance, system).some((recognized) =>
      stepsOf(utterance, recognized).some((step) =>
        kind.includes(step.kind)
        && (reference === "" || step.reference === reference)
        && (hypothesis === "" || step.hypothesis === hypothesis))),
  };
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.plain");
  if (!button) return;
  choose(choiceOf(button.dataset));
  byId("utterances-heading").scrollIntoView();
  list.firstElementChild?.focus({ preventScroll: true });
});

list.addEventListener("click", (event) => {
  const article = event.target.closest(".utterance");
  if (!article) return;
  makeCurrent(article);
  const { utterance } = article;
  const word = event.target.closest("[data-start]");
  if (event.target.closest(".play")) player.toggle(utterance);
  else if (event.target.closest(".more")) toggleDetails(article);
  else if (word && utterance.audio) player.play(utterance, Number(word.dataset.start));
});
list.addEventListener("input", (event) => {
  const article = event.target.closest(".utterance");
  if (article) player.seek(article.utterance, Number(event.target.value));
});
list.addEventListener("focusin", (event) => {
  const article = event.target.closest(".utterance");
  if (article && !article.classList.contains("current")) makeCurrent(article);
});

/** From word to word of the first system. */
function playWord(article, by) {
  const { utterance } = article;
  const starts = [...article.querySelector(".recognized").querySelectorAll("[data-start]")].map((word) => Number(word.dataset.start));
  const now = player.time(utterance);
  const next = by > 0 ? starts.find((start) => start > now + 0.01) : starts.findLast((start) => start < now - 0.3);
  if (utterance.audio && (next !== undefined || by < 0)) player.play(utterance, next ?? 0);
}

function moveTo(article) {
  makeCurrent(article);
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "nearest" });
}

function move(article, by) {
  const next = by > 0 ? article.nextElementSibling : article.previousElementSibling;
  if (next) moveTo(next);
  else if (turn(by)) moveTo(by > 0 ? list.firstElementChild : list.lastElementChild);
}

const ACTIONS = {
  ArrowDown: (article) => move(article, 1),
  ArrowUp: (article) => move(article, -1),
  ArrowRight: (article) => playWord(article, 1),
  ArrowLeft: (article) => playWord(article, -1),
  Home: () => moveTo(list.firstElementChild),
  End: () => moveTo(list.lastElementChild),
  Enter: (article) => toggleDetails(article),
  " ": (article) => article.utterance.audio && player.toggle(article.utterance),
};

list.addEventListener("keydown", (event) => {
  // Buttons, sliders and the timeline's scroll bar have keys of their own.
  if (!event.target.classList.contains("utterance") || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action(event.target);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select")) return;
  event.preventDefault();
  byId("search").focus();
});

const dark = matchMedia("(prefers-color-scheme: dark)");
const themeNow = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

function showTheme() {
  byId("theme").textContent = themeNow() === "dark" ? "Light" : "Dark";
  byId("theme").ariaLabel = `Switch to ${themeNow() === "dark" ? "light" : "dark"} colours`;
}

byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = themeNow() === "dark" ? "light" : "dark";
  showTheme();
});
dark.addEventListener("change", showTheme);

if (report.systems.length < 2) document.querySelectorAll(".versus").forEach((each) => each.remove());
showTheme();
showOrder();
find();
