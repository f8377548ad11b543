// An utterance in time: spectrogram, posteriorgram with the reference aligned, and all the words.

const PIXELS_PER_SECOND = 150;

function timeline(utterance) {
  const drawn = report.details[utterance.place];
  const lanes = [];
  if (drawn?.spectrogram) {
    lanes.push(lane("mel", picture(drawn.spectrogram, "spectrogram", utterance.duration, utterance)));
  }
  for (const model of drawn?.models ?? []) {
    if (model.words.length) lanes.push(lane("REF", wordsInTime(utterance, model.words.map(alignedWord))));
    lanes.push(lane(tokenNames(model), posteriorgram(utterance, model)));
  }
  for (const group of groupsOf(utterance)) {
    const steps = stepsOf(utterance, utterance.recognized[group[0]]).filter((step) => step.start !== undefined);
    lanes.push(lane(element("span", {}, ...names(group, "HYP")), wordsInTime(utterance, steps)));
  }
  lanes.push(lane("seconds", scale(utterance.duration)));

  const head = element("div", { className: "playhead" });
  const rows = element("div", { className: "lanes", style: { minWidth: `${Math.ceil(utterance.duration * PIXELS_PER_SECOND) + 90}px` } },
    ...lanes, element("div", { className: "heads" }, head));
  rows.addEventListener("click", (event) => {
    const track = event.target.closest(".track");
    if (!track || !utterance.audio || event.target.closest("[data-start]")) return;
    const box = track.getBoundingClientRect();
    player.play(utterance, ((event.clientX - box.left) / box.width) * utterance.duration);
  });
  const scroller = element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: `${utterance.name} in time` }, rows);
  const panel = element("div", { className: "timeline" }, scroller, ...notes(utterance, drawn));
  panel.showTime = (time) => {
    head.hidden = time === null;
    head.style.left = `${(100 * (time ?? 0)) / utterance.duration}%`;
  };
  panel.showTime(null);
  return panel;
}

function lane(name, track) {
  return element("div", { className: "lane" }, element("div", { className: "lane-name" }, name), track);
}

/** A heat map that covers `seconds`; its last frame may reach beyond the utterance. */
function picture(source, name, seconds, utterance, ...above) {
  const alt = `${name} of ${utterance.name}`;
  const image = element("img", { src: source, alt, draggable: false });
  const covered = element("div", { className: "picture", style: { width: `${(100 * seconds) / utterance.duration}%` } }, image, ...above);
  return element("div", { className: `track ${name}` }, covered);
}

function posteriorgram(utterance, model) {
  const rows = model.tokens.length;
  const boxes = [];
  for (let at = 0; at < model.marks.length; at += 3) {
    const [row, start, end] = model.marks.slice(at, at + 3);
    boxes.push(element("i", {
      className: "box",
      style: {
        left: `${(100 * start) / model.frames}%`,
        width: `${(100 * (end - start)) / model.frames}%`,
        top: `${(100 * row) / rows}%`,
        height: `${100 / rows}%`,
      },
    }));
  }
  const track = picture(model.image, "posteriorgram", model.seconds, utterance, ...boxes);
  track.style.setProperty("--rows", rows);
  return track;
}

function tokenNames(model) {
  const names = element("ol", { className: "tokens", ariaLabel: "tokens" }, ...model.tokens.map((token) => element("li", { dir: "auto" }, token)));
  names.style.setProperty("--rows", model.tokens.length);
  return names;
}

const alignedWord = ([text, start, end]) => ({ kind: "=", hypothesis: text, start, end });

function wordsInTime(utterance, steps) {
  const track = element("div", { className: "track spoken" });
  steps.forEach((step, place) => {
    const room = (steps[place + 1]?.start ?? utterance.duration) - step.start;
    const word = element("span", {
      className: `spoken-word kind-${step.kind === "=" ? "right" : step.kind}`,
      dir: "auto",
      title: `${step.hypothesis}: ${step.start.toFixed(2)}–${step.end.toFixed(2)} s`,
      style: { left: `${(100 * step.start) / utterance.duration}%`, width: `${(100 * room) / utterance.duration}%` },
    }, step.hypothesis, element("i", { style: { width: `${Math.min(100, (100 * (step.end - step.start)) / room)}%` } }));
    timed(word, step);
    track.append(word);
  });
  return track;
}

/** Make an element light up in its time, and play from there when it is chosen. */
function timed(made, step) {
  if (step.start === undefined) return;
  made.dataset.start = step.start;
  made.dataset.end = step.end;
}

function scale(duration) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60].find((each) => duration / each <= 12) ?? 300;
  const track = element("div", { className: "track scale", ariaHidden: "true" });
  for (let at = 0; at * step <= duration; at += 1) {
    track.append(element("span", { style: { left: `${(100 * at * step) / duration}%` } }, String(Number((at * step).toFixed(1)))));
  }
  return track;
}

function notes(utterance, drawn) {
  const told = Object.entries(utterance.loss).map(([model, loss]) =>
    loss === null
      ? `CTC loss of the reference by ${model}: infinite: the reference needs more frames`
      : `CTC loss of the reference by ${model}: ${loss.toFixed(2)} nats`);
  if (!drawn) told.push("Only the utterances with most errors have a spectrogram and a posteriorgram");
  for (const model of drawn?.models ?? []) {
    told.push(model.words.length
      ? `Posteriorgram of ${model.model}: brightness is the square root of the probability, boxes are the forced alignment of the reference`
      : `Posteriorgram of ${model.model}: the reference cannot be aligned with its vocabulary and frames`);
  }
  return told.map((text) => element("p", { className: "soft" }, `${text}.`));
}
