// fetch-features.ts: one request for the whole payload, with an end, and with the vendor's answer as data.

export type Fetched =
  | { readonly kind: 'payload'; readonly text: string; readonly etag: string | undefined; readonly hasStream: boolean }
  /** 304: what the server has is what it gave with that etag. */
  | { readonly kind: 'unchanged'; readonly hasStream: boolean }
  | { readonly kind: 'failed'; readonly why: string; readonly retryAfterMs: number | undefined };

export interface FetchOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly etag: string | undefined;
  /** Ends the request before its time, at close. */
  readonly signal: AbortSignal;
}

/** Never rejects. */
export async function fetchFeatures({ url, headers, timeoutMs, etag, signal }: FetchOptions): Promise<Fetched> {
  // A timer of our own and not AbortSignal.timeout, so that close leaves none behind.
  const controller = new AbortController();
  const end = (): void => controller.abort();
  const timer = setTimeout(end, timeoutMs);
  signal.addEventListener('abort', end);
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json', ...headers, ...(etag === undefined ? {} : { 'if-none-match': etag }) },
      signal: controller.signal,
    });
    const hasStream = response.headers.get('x-sse-support') === 'enabled';
    if (response.status === 304) return { kind: 'unchanged', hasStream };
    if (response.status !== 200) {
      await response.body?.cancel();
      return failed(
        `GrowthBook answered ${response.status}${wayOut(response.status)}`,
        retryAfterOf(response.headers.get('retry-after')),
      );
    }
    return { kind: 'payload', text: await response.text(), etag: response.headers.get('etag') ?? undefined, hasStream };
  } catch (error) {
    if (controller.signal.aborted) return failed(`GrowthBook did not answer within ${timeoutMs} ms`);
    return failed(`GrowthBook cannot be reached (${causeOf(error)})`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

function failed(why: string, retryAfterMs?: number): Fetched {
  return { kind: 'failed', why, retryAfterMs };
}

function wayOut(status: number): string {
  switch (status) {
    case 400:
    case 401:
    case 403:
    case 404:
      return '; is the client key that of a live SDK connection, and the host right?';
    case 429:
      return ': too many requests; raise reconcileMs, or put the proxy in front';
  }
  return '';
}

/** Seconds, as GrowthBook and its CDN give it. At most a minute: a longer silence is no answer for a kill switch. */
function retryAfterOf(header: string | null): number | undefined {
  const seconds = Number(header);
  return header !== null && Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, 60_000) : undefined;
}

/** The system's own name of the failure (ECONNREFUSED), which `fetch` hides in its cause. */
export function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message;
  return String(cause);
}
