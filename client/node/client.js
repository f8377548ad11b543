// One utterance's samples to a Triton server over gRPC, its text back. docs/wire.md has the rules.

import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

import { checkLength, modelFor, parseContract } from "./contract.js";
import { ServerError } from "./errors.js";
import { proxyVariable } from "./proxy.js";
import { Detokenizer, collapse } from "./text.js";

const PROTO = fileURLToPath(new URL("triton.proto", import.meta.url));
const DEFINITION = protoLoader.loadSync(PROTO, { keepCase: true, longs: Number, defaults: true });
const Stub = grpc.loadPackageDefinition(DEFINITION).inference.GRPCInferenceService;

// An utterance can be sent again without harm; UNAVAILABLE is the status that says it may help.
const RETRIES = {
  name: [{ service: "inference.GRPCInferenceService", method: "ModelInfer" }],
  retryPolicy: {
    maxAttempts: 5,
    initialBackoff: "0.2s",
    maxBackoff: "3s",
    backoffMultiplier: 2.5,
    retryableStatusCodes: ["UNAVAILABLE"],
  },
};
const CHANNEL_OPTIONS = {
  "grpc.service_config": JSON.stringify({
    loadBalancingConfig: [{ round_robin: {} }], // over the addresses of one name
    methodConfig: [RETRIES],
  }),
  // What does not fit is not sent again; gRPC's own 1 MiB is 32 s of audio at 16 kHz.
  "grpc.per_rpc_retry_buffer_size": 16 << 20,
  "grpc.retry_buffer_size": 256 << 20,
};

const THIS_MACHINE = /^(dns:\/*)?(localhost|127\.[\d.]+|\[::1\])(:\d+)?$/;

const ADVICE = {
  [grpc.status.UNAVAILABLE]:
    "check host and gRPC port (8001, not HTTP's 8000), or send less at once",
  [grpc.status.DEADLINE_EXCEEDED]: "allow more time, or send fewer requests at once",
  [grpc.status.NOT_FOUND]: "check the model's name, and that the server has loaded it",
};

/** A model on a server, ready to transcribe. */
export class Transcriber {
  #call;
  #model;
  #detokenizer;

  /**
   * Connects and reads the model's contract.
   * @param {string} url  host:port of the server's gRPC service
   * @param {string} model
   * @param {object} [options]
   * @param {grpc.ChannelCredentials} [options.credentials]  for TLS
   * @param {grpc.Metadata} [options.metadata]  headers: tokens, keys of restricted protocols
   * @param {number} [options.timeoutMs]  deadline of each call, retries included
   * @returns {Promise<Transcriber>}
   * @throws {ServerError}
   */
  static async connect(url, model, { credentials, metadata, timeoutMs = 60_000 } = {}) {
    const stub = new Stub(url, credentials ?? grpc.credentials.createInsecure(), {
      ...CHANNEL_OPTIONS,
      "grpc.enable_http_proxy": THIS_MACHINE.test(url) ? 0 : 1, // gRPC would take one there too
    });
    const call = caller(stub, url, metadata ?? new grpc.Metadata(), timeoutMs);
    try {
      return new Transcriber(stub, call, model, await readContract(call, model));
    } catch (error) {
      stub.close();
      throw error;
    }
  }

  /** For {@link Transcriber.connect}. */
  constructor(stub, call, model, contract) {
    this.#call = call;
    this.#model = model;
    this.#detokenizer = new Detokenizer(contract.vocabulary, contract.vocabulary_kind);
    /** @type {import("./contract.js").Contract} */
    this.contract = contract;
    /** Disconnects; requests in flight fail. */
    this.close = () => stub.close();
  }

  /**
   * @param {Int16Array} samples  one utterance, [N], mono at the contract's sample rate
   * @returns {Promise<{text: string, words: {word: string, start: number, end: number}[]}>}
   *   words with their times in seconds
   * @throws {AudioError} when the utterance is shorter or longer than the model takes
   * @throws {ServerError}
   */
  async transcribe(samples) {
    if (!(samples instanceof Int16Array)) throw new TypeError("samples must be an Int16Array");
    const { blank, audio_type, frame_stride_s, sample_rate_hz } = this.contract;
    checkLength(this.contract, samples.length);
    const reply = await this.#call("ModelInfer", {
      model_name: modelFor(this.contract, this.#model, samples.length),
      model_version: String(this.contract.model_version),
      inputs: [{ name: "audio_signal", datatype: audio_type, shape: [1, samples.length] }],
      outputs: [{ name: "tokens" }, { name: "log_probs_length" }],
      raw_input_contents: [littleEndian(samples)],
    });
    const runs = collapse(ownFrames(reply, blank), blank);
    const tokens = runs.map((run) => run.token);
    const seconds = (frame) => Math.min(frame * frame_stride_s, samples.length / sample_rate_hz);
    const words = this.#detokenizer.words(tokens).map(({ word, first, last }) => ({
      word,
      start: seconds(runs[first].start),
      end: seconds(runs[last].end),
    }));
    return { text: this.#detokenizer.text(tokens), words };
  }
}

/** A function that makes one call and turns its failure into a {@link ServerError}. */
function caller(stub, url, metadata, timeoutMs) {
  return (method, request) =>
    new Promise((resolve, reject) => {
      const deadline = Date.now() + timeoutMs;
      stub[method](request, metadata, { deadline }, (cause, reply) => {
        if (!cause) return resolve(reply);
        const advice = (ADVICE[cause.code] ?? "look at the server's log") + throughProxy(cause.code, url);
        const status = `${grpc.status[cause.code]} (${cause.details.trim()})`;
        const message = `the server at ${url} answers ${status}: ${advice}`;
        reject(new ServerError(message, { code: cause.code, cause }));
      });
    });
}

/** What to say of a proxy that may be the reason: that of the environment. */
function throughProxy(code, url) {
  const variable = proxyVariable(url);
  if (code !== grpc.status.UNAVAILABLE || THIS_MACHINE.test(url) || !variable) return "";
  return (
    `; the environment variable ${variable} names a proxy for the connection: ` +
    "add the server's host to no_proxy to connect directly"
  );
}

async function readContract(call, model) {
  const { config } = await call("ModelConfig", { name: model });
  const contract = parseContract(config.parameters.contract?.string_value);
  // A server can be told which models to load: what has no route left takes the main one.
  const { routes } = contract;
  const states = await Promise.all(
    routes.map((route) => call("ModelReady", { name: route.model })),
  );
  return { ...contract, routes: routes.filter((_, i) => states[i].ready) };
}

/** The best token of each of the utterance's own frames, [S]; its batch's padding follows them. */
function ownFrames(reply, blank) {
  const length = Number(tensor(reply, "log_probs_length", "INT64", 8).readBigInt64LE(0));
  const tokens = tensor(reply, "tokens", "INT32", 4);
  const frames = Array.from({ length: tokens.length / 4 }, (_, i) => tokens.readInt32LE(4 * i));
  const own = frames.slice(0, length);
  if (own.length !== length || own.some((token) => token < 0 || token > blank)) {
    throw new ServerError("the reply and the contract differ: export the model again");
  }
  return own;
}

/** Little-endian bytes of an output [1, n]; a reply has its outputs in an order of its own. */
function tensor({ outputs, raw_output_contents }, name, datatype, itemBytes) {
  const index = outputs.findIndex((output) => output.name === name);
  const [bytes, { shape } = {}] = [raw_output_contents[index], outputs[index]];
  const whole = shape?.length === 2 && shape[0] === 1 && bytes?.length === shape[1] * itemBytes;
  if (!whole || outputs[index].datatype !== datatype) {
    throw new ServerError(`the reply lacks ${name}, ${datatype} [1, n]: export the model again`);
  }
  return bytes;
}

function littleEndian(samples) {
  const bytes = Buffer.allocUnsafe(2 * samples.length);
  for (let i = 0; i < samples.length; i++) bytes.writeInt16LE(samples[i], 2 * i);
  return bytes;
}
