// answer.ts: requests and answers of the scripted server as data, so that an endpoint is a function and not a socket.

export interface GrowthBookRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The parsed body; `undefined` where there was none. */
  readonly body: unknown;
}

export interface GrowthBookAnswer {
  readonly status: number;
  /** Sent as JSON, a string as it stands. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error as the management API words it: `{ message, ... }`. */
export function refusal(status: number, message: string, more: Readonly<Record<string, unknown>> = {}): GrowthBookAnswer {
  return { status, body: { message, ...more } };
}

export function ok(body: unknown): GrowthBookAnswer {
  return { status: 200, body };
}

/** One page of a list, with the fields every list of the API has. */
export function page(name: string, items: readonly unknown[], query: URLSearchParams): GrowthBookAnswer {
  const limit = Math.min(Number(query.get('limit') ?? 10), 100);
  const offset = Number(query.get('offset') ?? 0);
  const shown = items.slice(offset, offset + limit);
  const hasMore = offset + shown.length < items.length;
  return ok({
    [name]: shown,
    limit,
    offset,
    count: shown.length,
    total: items.length,
    hasMore,
    nextOffset: hasMore ? offset + shown.length : null,
  });
}

export function fieldsOf(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}
