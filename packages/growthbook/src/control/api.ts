// api.ts: requests to GrowthBook's management API, with an end, its rate limit honoured, and its refusals as our error codes.

import { GrowthBookError } from '../error.ts';
import { causeOf } from '../fetch-features.ts';
import type { ControlSettings } from './options.ts';

export interface Api {
  get(path: string): Promise<Answer>;
  post(path: string, body: unknown): Promise<Answer>;
  /** Every page of a list. `name`: the member that holds the items. */
  list(path: string, name: string): Promise<readonly unknown[]>;
}

export type Answer = Readonly<Record<string, unknown>>;

/** One member of an answer, an object. Throws `unreachable` where it is not there: whatever answered, it was not GrowthBook's API. */
export function memberOf<T>(answer: Answer, name: string): T {
  const member = answer[name];
  if (typeof member !== 'object' || member === null)
    throw new GrowthBookError(
      'unreachable',
      `the answer has no ${name}; is baseUrl GrowthBook's API host? Look at the switch before trying again`,
    );
  return member as T;
}

/** Pages of a list that are read; 100 items each. */
const mostPages = 50;

/** For one call of the control: the waits for the rate limit add up over its requests. */
export function api(settings: ControlSettings): Api {
  let waitedMs = 0;

  const once = async (method: string, path: string, body: unknown): Promise<Response> => {
    try {
      return await fetch(`${settings.baseUrl}/api${path}`, {
        method,
        headers: {
          authorization: `Bearer ${settings.token}`,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(settings.timeoutMs),
      });
    } catch (error) {
      throw unreachable(settings, method, path, isTimeout(error) ? `no answer within ${settings.timeoutMs} ms` : causeOf(error));
    }
  };
  const ask = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    for (;;) {
      const response = await once(method, path, body);
      if (response.status === 429) {
        const waitMs = waitOf(response.headers);
        await response.body?.cancel();
        if (waitedMs + waitMs > settings.rateLimitWaitMs)
          throw new GrowthBookError(
            'rate_limited',
            `GrowthBook takes 60 requests a minute and key, and is free again in ${Math.ceil(waitMs / 1000)} s; try again then, or flip in the dashboard now`,
          );
        waitedMs += waitMs;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        continue;
      }
      let answer: unknown;
      try {
        answer = await response.json();
      } catch (error) {
        if (response.ok) throw unreachable(settings, method, path, `its answer is no JSON (${causeOf(error)})`);
      }
      const fields = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
      if (response.ok) return fields;
      throw refused(settings, method, path, response.status, fields);
    }
  };
  return {
    get: (path) => ask('GET', path),
    post: (path, body) => ask('POST', path, body),
    async list(path, name) {
      const items: unknown[] = [];
      for (let pages = 0; pages < mostPages; pages++) {
        const answer = await ask('GET', `${path}${path.includes('?') ? '&' : '?'}limit=100&offset=${items.length}`);
        const shown = answer[name];
        if (!Array.isArray(shown)) throw unreachable(settings, 'GET', path, `its answer has no ${name}`);
        items.push(...shown);
        if (answer.hasMore !== true || shown.length === 0) return items;
      }
      return items;
    },
  };
}

/** `RateLimit-Reset` in seconds, as express-rate-limit gives it, else `Retry-After`. At least a tenth of a second. */
function waitOf(headers: Headers): number {
  const seconds = [headers.get('ratelimit-reset'), headers.get('x-ratelimit-reset'), headers.get('retry-after')]
    .map((value) => (value === null ? Number.NaN : Number(value)))
    .find((value) => Number.isFinite(value) && value >= 0);
  // A reset as epoch seconds, which some gateways give, is no time to wait.
  const waitSeconds = seconds === undefined ? 5 : seconds > 1e9 ? seconds - Date.now() / 1000 : seconds;
  return Math.max(100, waitSeconds * 1000);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
}

function unreachable(settings: ControlSettings, method: string, path: string, why: string): GrowthBookError {
  const wayOut = method === 'GET' ? 'try again' : 'whether it was made is not known: look at the switch before trying again';
  return new GrowthBookError('unreachable', `${method} ${path} at ${settings.baseUrl}: ${hide(settings, why)}; ${wayOut}`);
}

function refused(settings: ControlSettings, method: string, path: string, status: number, answer: Answer): GrowthBookError {
  const gates = Array.isArray(answer.gates) ? (answer.gates as { type?: unknown; messages?: unknown }[]) : [];
  const words = [answer.message, ...gates.flatMap((gate) => gate.messages ?? [])].filter((word) => typeof word === 'string');
  const said = hide(settings, words.join('; ') || `status ${status}`);
  const at = `${method} ${path}`;
  const isReview = /review|approv/i.test(said) || gates.some((gate) => String(gate.type).includes('approval'));
  if ([400, 403, 422].includes(status) && isReview)
    return new GrowthBookError(
      'approval_required',
      `GrowthBook requires a review before this is published, so nothing was changed (${said}). Now: make the change in the dashboard and have it approved there. For the next time: turn on "REST API always bypasses approval requirements", or give this token's role the permission to bypass approvals`,
    );
  if (status === 401)
    return new GrowthBookError('unauthorized', `${at}: the token is not valid (${said}); make one under Settings, API Keys`);
  if (status === 403)
    return new GrowthBookError(
      'unauthorized',
      `${at}: the token may not do this (${said}); give its role the permission to publish`,
    );
  if (status === 404 || (status === 400 && /could not find|not found/i.test(said)))
    return new GrowthBookError('flag_missing', `${at}: ${said}; provision it first`);
  if (status === 409) return new GrowthBookError('conflict', `${at}: somebody published at the same moment (${said}); try again`);
  if (status >= 500) return unreachable(settings, method, path, `status ${status}: ${said}`);
  return new GrowthBookError('refused', `${at}: GrowthBook refused it (${status}: ${said})`);
}

function hide(settings: ControlSettings, text: string): string {
  return text.replaceAll(settings.token, '***');
}
