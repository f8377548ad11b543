// 16-bit mono WAV files at the model's rate; ffmpeg makes them of anything else.

import { readFile, stat } from "node:fs/promises";

import { AudioError } from "./errors.js";

const PCM = 1;
const EXTENSIBLE = 0xfffe; // the encoding itself stands further on
const MAX_OTHER_BYTES = 1 << 20; // beside the samples: headers, tags

/**
 * @param {string} path
 * @param {import("./contract.js").Contract} contract
 * @returns {Promise<Int16Array>}  samples, [N]
 * @throws {AudioError}
 */
export async function readWav(path, { sample_rate_hz, max_samples }) {
  try {
    const file = await stat(path);
    if (!file.isFile()) throw new AudioError("is not a file: give the path of a WAV file");
    if (file.size > 2 * max_samples + MAX_OTHER_BYTES) {
      const most = `${2 * max_samples} bytes of samples (${max_samples / sample_rate_hz} s)`;
      throw new AudioError(`has ${file.size} bytes, the model takes ${most}: cut it at pauses`);
    }
    return parseWav(await readFile(path), sample_rate_hz);
  } catch (error) {
    if (!error.syscall) throw error;
    throw new AudioError(`cannot be read (${error.code}): check the path`, { cause: error });
  }
}

/**
 * @param {Buffer} bytes  a WAV file
 * @returns {Int16Array}  samples, [N]
 * @throws {AudioError}
 */
export function parseWav(bytes, sampleRateHz) {
  const fix = `convert it: ffmpeg -i INPUT -ac 1 -ar ${sampleRateHz} -c:a pcm_s16le OUTPUT.wav`;
  const { format, data, missing } = chunks(bytes);
  if (!data || !(format?.length >= 16)) {
    throw new AudioError(`is damaged, truncated or not WAV: ${fix}`);
  }
  if (missing > 0) {
    throw new AudioError(`is truncated, ${missing} bytes of samples are missing: record it again`);
  }
  const extensible = format.readUInt16LE(0) === EXTENSIBLE && format.length >= 40;
  const encoding = format.readUInt16LE(extensible ? 24 : 0);
  const [channels, rateHz, bits] = [
    format.readUInt16LE(2),
    format.readUInt32LE(4),
    format.readUInt16LE(14),
  ];
  if (encoding !== PCM || bits !== 16 || channels !== 1 || rateHz !== sampleRateHz) {
    throw new AudioError(
      `is ${bits}-bit, encoding ${encoding}, ${channels} channel(s), ${rateHz} Hz; expected 16-bit ` +
        `PCM (encoding ${PCM}), 1 channel, ${sampleRateHz} Hz: ${fix}`,
    );
  }
  const samples = new Int16Array(data.length >> 1);
  for (let i = 0; i < samples.length; i++) samples[i] = data.readInt16LE(2 * i);
  return samples;
}

/** The chunks that matter, and how many bytes of samples the header promises beyond the end. */
function chunks(bytes) {
  const found = { missing: 0 };
  const text = (at) => bytes.toString("latin1", at, at + 4);
  if (text(0) !== "RIFF" || text(8) !== "WAVE") return found;
  for (let at = 12; at + 8 <= bytes.length && !found.data;) {
    const size = bytes.readUInt32LE(at + 4);
    const content = bytes.subarray(at + 8, at + 8 + size);
    if (text(at) === "fmt ") found.format = content;
    if (text(at) === "data")
      Object.assign(found, { data: content, missing: size - content.length });
    at += 8 + size + (size % 2);
  }
  return found;
}
