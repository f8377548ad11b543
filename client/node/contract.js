// What a model says of itself, and what follows from it for one utterance.

import { AudioError, ServerError } from "./errors.js";

const VERSION = 1;
const VOCABULARY_KINDS = ["char", "sentencepiece"];
const NUMBERS = ["sample_rate_hz", "min_samples", "max_samples", "frame_stride_s"];

/**
 * The fields used here; docs/wire.md has them all.
 * @typedef {object} Contract
 * @property {"INT16"} audio_type
 * @property {number} sample_rate_hz
 * @property {number} min_samples
 * @property {number} max_samples
 * @property {number} frame_stride_s
 * @property {string[]} vocabulary  without the blank
 * @property {"char" | "sentencepiece"} vocabulary_kind
 * @property {number} blank  index of the blank, `vocabulary.length`
 * @property {{max_samples: number, model: string}[]} routes  shortest first
 * @property {number} model_version  Triton's version of the model, of this export alone
 */

/**
 * @param {string} [json]  parameter "contract" of a model's configuration
 * @returns {Contract}
 * @throws {ServerError}
 */
export function parseContract(json) {
  if (!json) {
    throw new ServerError(
      "the model carries no contract: it is a step of another one, or not this project's",
    );
  }
  const contract = { routes: [], model_version: 1, ...parsed(json) };
  const { version, audio_type, vocabulary_kind, vocabulary, blank } = contract;
  const valid =
    version === VERSION &&
    audio_type === "INT16" &&
    VOCABULARY_KINDS.includes(vocabulary_kind) &&
    blank === vocabulary?.length &&
    NUMBERS.every((name) => contract[name] > 0);
  if (!valid) {
    throw new ServerError(
      `the model's contract (version ${version}) is not one that this client reads (${VERSION}): ` +
        "export the model again, or use the client of its version",
    );
  }
  return contract;
}

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new ServerError(`the model's contract is not JSON (${cause.message})`, { cause });
  }
}

/** Throws {@link AudioError} unless the model takes utterances of `nSamples`. */
export function checkLength({ sample_rate_hz, min_samples, max_samples }, nSamples) {
  const seconds = (samples) => `${(samples / sample_rate_hz).toFixed(3)} s`;
  if (nSamples >= min_samples && nSamples <= max_samples) return;
  throw new AudioError(
    `is ${seconds(nSamples)} long, the model takes ${seconds(min_samples)} to ` +
      `${seconds(max_samples)}: cut long audio at pauses, leave short audio out`,
  );
}

/** Where an utterance of `nSamples` is sent: the first route that it fits, else `model` itself. */
export function modelFor({ routes }, model, nSamples) {
  return routes.find((route) => nSamples <= route.max_samples)?.model ?? model;
}
