// answer.ts: requests and answers of the scripted Unleash as data, so that an endpoint is a function and not a socket.

export interface UnleashRequest {
  readonly method: string;
  /** The path without the query, cut at the slashes and decoded. */
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The parsed body; `undefined` where there was none. */
  readonly body: unknown;
}

export interface UnleashAnswer {
  readonly status: number;
  /** Sent as JSON, a string as it stands; `undefined` is an empty answer. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error as the admin API words it: name, message, and the message once more in `details`. */
export function refusal(
  status: number,
  name: string,
  message: string,
  more: Readonly<Record<string, unknown>> = {},
): UnleashAnswer {
  return { status, body: { name, message, details: [{ message }], ...more } };
}

export const ok = (body?: unknown, status = 200): UnleashAnswer => ({ status, body });

export function fieldsOf(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}
