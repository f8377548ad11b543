"use strict";
// The data of the page: utterances, what each system made of them, and questions about them.

const report = JSON.parse(document.getElementById("data").textContent);

report.utterances.forEach((utterance, place) => {
  utterance.place = place;
  for (const recognized of utterance.recognized) {
    recognized.errors = [...recognized.steps].filter((kind) => kind !== "=").length;
  }
});

const words = (text) => (text ? text.split(" ") : []);

/** The alignment: kind, words of both sides, and times in seconds where they are known. */
function stepsOf(utterance, recognized) {
  const reference = words(utterance.reference)[Symbol.iterator]();
  const different = words(recognized.words)[Symbol.iterator]();
  let place = 0;
  return [...recognized.steps].map((kind) => {
    const step = { kind, reference: "", hypothesis: "" };
    if (kind !== "i") step.reference = reference.next().value;
    if (kind === "d") return step;
    step.hypothesis = kind === "=" ? step.reference : different.next().value;
    const [start, end] = recognized.times.slice(2 * place, 2 * place + 2);
    if (start >= 0) Object.assign(step, { start: start / 1000, end: end / 1000 });
    step.confidence = recognized.confidence?.[place] ?? null;
    place += 1;
    return step;
  });
}

function textOf(utterance, recognized) {
  return stepsOf(utterance, recognized).map((step) => step.hypothesis).filter(Boolean).join(" ");
}

/** The systems to look at: the one chosen, or all. */
const looked = (utterance, system) => (system === null ? utterance.recognized : [utterance.recognized[system]]);

function errorsOf(utterance, system) {
  return looked(utterance, system).reduce((sum, recognized) => sum + recognized.errors, 0);
}

/** Mean over words, in percent; null where it is not known. */
function confidenceOf(utterance, system) {
  const known = looked(utterance, system).flatMap((recognized) => recognized.confidence ?? []).filter((each) => each !== null);
  return known.length ? known.reduce((sum, each) => sum + each, 0) / known.length : null;
}

/** How many different texts there are, and then how far apart the numbers of errors are. */
function disagreementOf(utterance) {
  const errors = utterance.recognized.map((recognized) => recognized.errors);
  const texts = new Set(utterance.recognized.map((recognized) => recognized.steps + "\n" + recognized.words));
  return texts.size - 1 + (Math.max(...errors) - Math.min(...errors)) / 1000;
}

function haystackOf(utterance) {
  utterance.haystack ??= [
    utterance.name,
    utterance.reference,
    ...utterance.recognized.map((recognized) => textOf(utterance, recognized)),
  ].join("\n").toLowerCase();
  return utterance.haystack;
}

/** Systems that made the same of it, together: places of systems by text. */
function groupsOf(utterance) {
  const groups = new Map();
  utterance.recognized.forEach((recognized, system) => {
    const key = recognized.steps + "\n" + recognized.words;
    groups.set(key, [...(groups.get(key) ?? []), system]);
  });
  return [...groups.values()];
}

const letterOf = (system) => (system < 26 ? String.fromCharCode(65 + system) : String(system + 1));
const colorOf = (system) => `s${system % 8}`;

/** An element; texts become text and nothing else. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "style") Object.assign(made.style, value);
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** A badge for each of these systems, or the text where there is nothing to tell apart. */
const names = (systems, text) => (report.systems.length > 1 ? systems.map(badge) : [text]);

function badge(system) {
  const label = `${letterOf(system)}: ${report.systems[system]}`;
  return element("abbr", { className: `badge ${colorOf(system)}`, title: label }, letterOf(system));
}
