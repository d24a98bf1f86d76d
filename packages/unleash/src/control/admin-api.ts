// admin-api.ts: one request to Unleash's admin API: bounded, limits honoured, refusals put into our words. The token is in the
// header and nowhere else.

import { UnleashSwitchError } from '../error.ts';

export interface AdminApiOptions {
  readonly base: string;
  readonly token: string;
  readonly timeoutMs: number;
  readonly rateLimitWaitMs: number;
  readonly fetch: typeof globalThis.fetch;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** Unleash's own words for a refusal. */
  readonly message: string;
}

export interface AdminApi {
  /** Resolves for what Unleash says (2xx, 400, 404, 409 and its 500 for a failed patch test); rejects for what stands between. */
  request(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<Answer>;
}

/** How often a limited request is tried. */
const attempts = 4;

export function adminApi(options: AdminApiOptions): AdminApi {
  const { base, token, timeoutMs, rateLimitWaitMs } = options;
  return {
    async request(method, path, body) {
      const deadline = performance.now() + rateLimitWaitMs;
      for (let attempt = 1; ; attempt++) {
        const { response, text } = await send(options, method, path, body, token);
        if (response.status === 429) {
          const waitMs = waitOf(response);
          if (attempt < attempts && performance.now() + waitMs <= deadline) {
            await new Promise((resolve) => setTimeout(resolve, waitMs));
            continue;
          }
          throw new UnleashSwitchError(
            'rate_limited',
            `${base} limits requests and asks to wait ${Math.ceil(waitMs / 1000)} s; nothing was changed by this one, try again then`,
          );
        }
        const parsed = parse(text);
        const message = wordsOf(parsed) ?? `${response.status}`;
        refuse(base, method, path, response.status, parsed, message, timeoutMs);
        return { status: response.status, body: parsed, message };
      }
    },
  };
}

async function send(
  { base, timeoutMs, fetch: ask }: AdminApiOptions,
  method: string,
  path: string,
  body: unknown,
  token: string,
): Promise<{ response: Response; text: string }> {
  try {
    const response = await ask(`${base}${path}`, {
      method,
      headers: {
        accept: 'application/json',
        authorization: token,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { response, text: await response.text() };
  } catch (cause) {
    const isLate = cause instanceof Error && cause.name === 'TimeoutError';
    const why = isLate ? `did not answer within ${timeoutMs} ms` : 'cannot be reached';
    const rest = method === 'GET' ? '' : '; whether the change arrived is not known, so look before you repeat it';
    throw new UnleashSwitchError('unreachable', `${base} ${why} (${method} ${path})${rest}`, { cause });
  }
}

function refuse(
  base: string,
  method: string,
  path: string,
  status: number,
  body: unknown,
  message: string,
  timeoutMs: number,
): void {
  if (status < 300 || status === 400 || status === 404 || status === 409) {
    // Something else at that address also answers 200 and 404: a login page, a proxy's own words.
    if (status < 300 ? body === undefined : message === String(status))
      throw new UnleashSwitchError(
        'unreachable',
        `${base} answered ${status} to ${method} ${path}, and not as Unleash does; check url`,
      );
    return;
  }
  switch (status) {
    case 401:
      throw new UnleashSwitchError('unauthorized', `${base} does not know the token: it is wrong, expired or was deleted`);
    case 403:
      if (/change.?request/i.test(JSON.stringify(body)))
        throw new UnleashSwitchError(
          'approval_required',
          `${base} asks for a change request here. Nothing was changed. Make and approve one in the dashboard (${path}), or stop through the runtime, which needs no vendor; for switches, allow their operators to skip change requests`,
        );
      throw new UnleashSwitchError('unauthorized', `${base} does not allow this token to do that: ${message}`);
    case 500:
      // The answer to a failed `test` of a JSON patch (unleash-server 7.5.1, 8.2.0): somebody else was faster.
      if (/TEST_OPERATION_FAILED/.test(message)) return;
      break;
  }
  throw new UnleashSwitchError(
    'unreachable',
    `${base} answered ${status} to ${method} ${path} (limit ${timeoutMs} ms): ${message}`,
  );
}

/** `null` for an empty answer, `undefined` for what is no JSON. */
function parse(text: string): unknown {
  if (text.trim() === '') return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function wordsOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { message, details } = body as { message?: unknown; details?: unknown };
  const detail = Array.isArray(details) ? (details[0] as { message?: unknown } | undefined)?.message : undefined;
  const text = [message, detail].filter((one, at, all) => typeof one === 'string' && all.indexOf(one) === at).join(' ');
  return text === '' ? undefined : text.slice(0, 500);
}

function waitOf(response: Response): number {
  const after = response.headers.get('retry-after');
  const reset = response.headers.get('x-ratelimit-reset') ?? response.headers.get('ratelimit-reset');
  if (after !== null) return Math.max(0, /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - Date.now()) || 1000;
  // Seconds from now, or since the epoch.
  if (reset !== null && /^\d+$/.test(reset))
    return Number(reset) > 1e9 ? Math.max(0, Number(reset) * 1000 - Date.now()) : Number(reset) * 1000;
  return 1000;
}
