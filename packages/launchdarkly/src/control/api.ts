// api.ts: LaunchDarkly's REST API (version 20240415) as plain fetch: one call with an end, and its refusals as errors with a way out.

import { LaunchDarklyError } from '../error.ts';

export interface ApiOptions {
  readonly token: string;
  readonly baseUrl: string;
  /** The end of each single call. Milliseconds. */
  readonly timeoutMs: number;
  /** Longest that rate limits and conflicts are waited out for one call. Milliseconds. */
  readonly patienceMs: number;
  readonly now: () => number;
}

export interface Api {
  /** Undefined: 404. */
  find<T>(path: string): Promise<T | undefined>;
  create<T>(path: string, body: object): Promise<T>;
  /** A semantic patch. Atomic at the vendor; a conflict is retried. */
  patch<T>(path: string, body: object): Promise<T>;
}

type Method = 'GET' | 'POST' | 'PATCH';

const semanticPatch = 'application/json; domain-model=launchdarkly.semanticpatch';
/** Between two tries after a conflict. Milliseconds; grows with each. */
const conflictWaitMs = 50;
/** The same after a 429, at least: by a clock that is ahead of LaunchDarkly's every reset is over already. */
const limitedWaitMs = 100;

export function createApi(options: ApiOptions): Api {
  const call = async (method: Method, path: string, body?: object): Promise<Response> => {
    // Not by the wall clock, which may stand or be set while this waits.
    const until = performance.now() + options.patienceMs;
    for (let attempt = 1; ; attempt++) {
      const response = await send(options, method, path, body);
      const waitMs =
        response.status === 429
          ? Math.max(limitedWaitMs * attempt, waitOf(response.headers, options.now()))
          : response.status === 409 && method === 'PATCH'
            ? conflictWaitMs * attempt
            : undefined;
      if (waitMs === undefined || performance.now() + waitMs > until) return response;
      await response.body?.cancel();
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  };
  const read = async <T>(response: Response, what: string): Promise<T> => {
    if (!response.ok) throw await refusal(response, what);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      throw new LaunchDarklyError('unreachable', `${what}: the answer is no JSON; is baseUrl LaunchDarkly's?`, { cause });
    }
  };
  return {
    async find(path) {
      const response = await call('GET', path);
      if (response.status === 404) {
        await response.body?.cancel();
        return undefined;
      }
      return read(response, `GET ${path}`);
    },
    create: async (path, body) => read(await call('POST', path, body), `POST ${path}`),
    patch: async (path, body) => read(await call('PATCH', path, body), `PATCH ${path}`),
  };
}

async function send({ token, baseUrl, timeoutMs }: ApiOptions, method: Method, path: string, body?: object): Promise<Response> {
  try {
    return await fetch(`${baseUrl}/api/v2/${path}`, {
      method,
      headers: {
        authorization: token,
        'ld-api-version': '20240415',
        ...(body === undefined ? {} : { 'content-type': method === 'PATCH' ? semanticPatch : 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (cause) {
    throw new LaunchDarklyError('unreachable', `${method} ${path}: LaunchDarkly gave no answer within ${timeoutMs} ms`, {
      cause,
    });
  }
}

/** Milliseconds that a 429 asks to wait. The reset is epoch milliseconds. */
function waitOf(headers: Headers, now: number): number {
  const reset = Number(headers.get('x-ratelimit-reset'));
  if (reset > 0) return Math.max(0, reset - now);
  const seconds = Number(headers.get('retry-after'));
  return seconds > 0 ? seconds * 1000 : 1000;
}

async function refusal(response: Response, what: string): Promise<LaunchDarklyError> {
  const said = await response
    .json()
    .then((body: unknown) => String((body as { message?: unknown } | null)?.message ?? ''))
    .catch(() => '');
  const because = said === '' ? '' : `: ${said.slice(0, 200)}`;
  switch (response.status) {
    case 401:
      return new LaunchDarklyError('unauthorized', `${what}: the access token is refused (401); give one that is valid`);
    case 403:
      return new LaunchDarklyError(
        'unauthorized',
        `${what}: the access token may not do this (403)${because}; it needs the Writer role, or a custom role with updateOn, updateTargets and updateFallthrough on flags and updateIncluded on segments`,
      );
    case 405:
      return new LaunchDarklyError(
        'approval_required',
        `${what}: this environment asks for an approval (405), so nothing was changed. Open the flag in LaunchDarkly, choose "Request approval" and have it applied; to flip without one, let the token's role bypass approvals, or let the environment ask for approvals only on tags that switches do not carry`,
      );
    case 409:
      return new LaunchDarklyError(
        'conflict',
        `${what}: somebody else changed it at the same moment, again and again; try again`,
      );
    case 429:
      return new LaunchDarklyError('rate_limited', `${what}: LaunchDarkly's rate limit is used up (429); try again later`);
    case 404:
      return new LaunchDarklyError(
        'flag_missing',
        `${what}: not found (404); look at project, environment and key, or provision`,
      );
    case 400:
      return new LaunchDarklyError('flag_invalid', `${what}: LaunchDarkly refuses the change (400)${because}`);
    default:
      return new LaunchDarklyError('unreachable', `${what}: LaunchDarkly answers ${response.status}${because}`);
  }
}
