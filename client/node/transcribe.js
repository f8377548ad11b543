// The command: WAV files to text, a line `path<TAB>text` for each, in the order given. Exit status:
// 0 when all went well, 1 when anything failed, 2 for wrong usage.

import { parseArgs } from "node:util";

import { Transcriber } from "./client.js";
import { AsrError } from "./errors.js";
import { readWav } from "./wav.js";

const USAGE = `usage: node transcribe.js --model NAME [--url localhost:8001] [--timeout SECONDS]
                          [--in-flight REQUESTS] AUDIO.wav ...`;
const OPTIONS = {
  model: { type: "string" },
  url: { type: "string", default: "localhost:8001" },
  timeout: { type: "string", default: "60" },
  "in-flight": { type: "string", default: "16" },
};

async function main() {
  const { url, model, timeoutMs, inFlight, paths } = readArguments();
  const transcriber = await Transcriber.connect(url, model, { timeoutMs });
  const results = inOrder(paths, inFlight, (path) => transcribed(path, transcriber));
  for await (const { path, text, error } of results) {
    if (error) {
      console.error(`error: ${path}: ${error.message}`);
      process.exitCode = 1;
    }
    console.log(`${path}\t${text}`); // a failed one keeps its line, with no text
  }
  transcriber.close();
}

function readArguments() {
  try {
    const { values, positionals: paths } = parseArgs({ options: OPTIONS, allowPositionals: true });
    const [timeoutMs, inFlight] = [1000 * values.timeout, Number(values["in-flight"])];
    if (!values.model || paths.length === 0) throw new Error("expected --model and WAV files");
    if (!(timeoutMs > 0 && inFlight >= 1)) throw new Error("expected numbers above 0");
    return { ...values, timeoutMs, inFlight, paths };
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** Results of `work` in the order of `items`, at most `limit` of them in flight. */
async function* inOrder(items, limit, work) {
  const pending = [];
  for (const item of items) {
    if (pending.length >= limit) yield await pending.shift();
    pending.push(work(item));
  }
  while (pending.length > 0) yield await pending.shift();
}

async function transcribed(path, transcriber) {
  try {
    const { text } = await transcriber.transcribe(await readWav(path, transcriber.contract));
    return { path, text };
  } catch (error) {
    if (error instanceof AsrError) return { path, text: "", error };
    throw error;
  }
}

process.stdout.on("error", () => process.exit(1)); // the reader of our output has had enough
try {
  await main();
} catch (error) {
  if (!(error instanceof AsrError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
