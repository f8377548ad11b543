/** Base of the errors that this client raises. */
export class AsrError extends Error {}

/** One recording cannot be read, or is not what the model takes. */
export class AudioError extends AsrError {}

/** The server did not answer as it should; `code` is gRPC's status, where there is one. */
export class ServerError extends AsrError {
  constructor(message, { code, cause } = {}) {
    super(message, { cause });
    this.code = code;
  }
}
