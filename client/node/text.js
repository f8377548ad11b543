// From tokens to text and words, as client/vocabulary.py does it; docs/wire.md has the rules.

const WORD_START = "▁";
const UNKNOWN = " ⁇ ";
// Labels whose characters NeMo does not take for punctuation marks.
const NO_PUNCTUATION = /^(<.*>|\[.*\]|(##|▁).*|\s*)$/u;

/**
 * Greedy CTC: repeats merged, blanks dropped.
 * @param {number[]} frames  the best token of each frame, [S]
 * @returns {{token: number, start: number, end: number}[]}  from frame `start` to before `end`
 */
export function collapse(frames, blank) {
  const runs = [];
  frames.forEach((token, frame) => {
    if (token === blank) return;
    if (token === frames[frame - 1]) runs.at(-1).end = frame + 1;
    else runs.push({ token, start: frame, end: frame + 1 });
  });
  return runs;
}

/** Writes tokens as text, for a contract's vocabulary. */
export class Detokenizer {
  #labels; // what each token writes; in pieces, ▁ stands for a space
  #inPieces;
  #marks;

  constructor(vocabulary, vocabularyKind) {
    this.#inPieces = vocabularyKind === "sentencepiece";
    this.#labels = vocabulary.map((label) =>
      this.#inPieces && label === "<unk>" ? UNKNOWN : label,
    );
    const written = vocabulary.filter((label) => !NO_PUNCTUATION.test(label)).join("");
    this.#marks = new Set(written.match(/\p{P}/gu));
  }

  /** Text of `tokens`, repeats merged and blanks dropped. */
  text(tokens) {
    let text = tokens.map((token) => this.#labels[token]).join("");
    if (this.#inPieces) text = text.replace(/^▁+/u, "").replaceAll(WORD_START, " ");
    return text.replace(/\s(?=(.))/gsu, (space, next) => (this.#marks.has(next) ? "" : space));
  }

  /**
   * The words of `text(tokens)`, and the positions of the first and last token that write each.
   * @returns {{word: string, first: number, last: number}[]}
   */
  words(tokens) {
    const ends = []; // of each token in the text
    let text = "";
    for (const token of tokens) {
      const label = this.#labels[token];
      text += this.#inPieces ? label.replaceAll(WORD_START, " ") : label;
      ends.push(text.length);
    }
    const words = [];
    for (const { 0: word, index } of text.matchAll(/\S+/gu)) {
      const first = ends.findIndex((end) => end > index);
      const last = ends.findIndex((end) => end >= index + word.length);
      const oneSpaceBefore = index > 1 && /\S/u.test(text[index - 2]);
      if (oneSpaceBefore && this.#marks.has(String.fromCodePoint(word.codePointAt(0)))) {
        const before = words.pop(); // a mark closes up with the word before
        words.push({ word: before.word + word, first: before.first, last });
      } else {
        words.push({ word, first, last });
      }
    }
    return words;
  }
}
