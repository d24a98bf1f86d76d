// rest-routes.ts: the part of LaunchDarkly's REST API (20240415) that flips, provisions and inspects switches.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { restFlag } from './model.ts';
import { applyToFlag, applyToSegment, PatchRefused } from './semantic-patch.ts';
import type { LdState } from './state.ts';

export interface RestOptions {
  readonly token: string;
  readonly project: string;
  readonly environment: string;
  readonly state: () => LdState;
}

/** How the management API refuses, once or until it is lifted. */
export type RestRefusal =
  /** 405: the environment's settings ask for an approval. */
  | 'approval'
  /** 409: somebody else changed it at the same moment. */
  | 'conflict'
  /** 429 with X-Ratelimit-Reset. */
  | 'rate-limit'
  /** 500. */
  | 'error'
  /** 200, and nothing was stored. */
  | 'ignored';

export interface RestRoutes {
  /** The next `times` writes are refused so; `Infinity` until it is called with 0. */
  refuse(refusal: RestRefusal, times: number): void;
  handle(request: IncomingMessage, response: ServerResponse, url: URL, body: string): boolean;
}

type Json = Readonly<Record<string, unknown>>;

export function createRestRoutes(options: RestOptions): RestRoutes {
  const { project, environment } = options;
  let refusal: RestRefusal = 'error';
  let left = 0;

  const answer = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): true => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    return true;
  };
  const refuses = (response: ServerResponse): boolean => {
    if (left <= 0 || refusal === 'ignored') return false;
    left--;
    switch (refusal) {
      case 'approval':
        return answer(response, 405, { code: 'method_not_allowed', message: 'approval is required for this environment' });
      case 'conflict':
        return answer(response, 409, { code: 'optimistic_locking_error', message: 'conflict' });
      case 'rate-limit':
        return answer(response, 429, { code: 'rate_limited' }, { 'x-ratelimit-reset': String(Date.now() + 20) });
      case 'error':
        return answer(response, 500, { code: 'internal_service_error' });
    }
  };
  const missing = (response: ServerResponse): true => answer(response, 404, { code: 'not_found', message: 'Unknown resource' });
  const instructionsOf = (request: IncomingMessage, patch: Json): { kind: string }[] => {
    if (!String(request.headers['content-type']).includes('domain-model=launchdarkly.semanticpatch'))
      throw new PatchRefused(400, 'invalid_request', 'not a JSON patch');
    const all = Array.isArray(patch.instructions) ? (patch.instructions as { kind: string }[]) : [];
    if (all.length === 0) throw new PatchRefused(400, 'invalid_request', 'no instructions');
    return all;
  };

  const flags = (request: IncomingMessage, response: ServerResponse, key: string | undefined, input: Json): boolean => {
    const state = options.state();
    if (key === undefined) {
      if (request.method === 'GET')
        return answer(response, 200, { items: [...state.flags.values()].map((one) => restFlag(one, environment)) });
      if (request.method !== 'POST') return false;
      if (refuses(response)) return true;
      if (state.flags.has(String(input.key))) return answer(response, 409, { code: 'conflict', message: 'key is taken' });
      const variations = (input.variations as { value: unknown; name?: string }[]) ?? [{ value: true }, { value: false }];
      const defaults = (input.defaults as { onVariation: number; offVariation: number }) ?? { onVariation: 0, offVariation: 1 };
      const made = state.seed({
        key: String(input.key),
        name: String(input.name),
        description: String(input.description ?? ''),
        // The API's default, unlike the form's.
        temporary: (input.temporary as boolean | undefined) ?? true,
        tags: (input.tags as string[] | undefined) ?? [],
        variations: variations.map((one) => one.value),
        on: (input.isFlagOn as boolean | undefined) ?? false,
        fallthrough: defaults.onVariation,
        offVariation: defaults.offVariation,
      });
      return answer(response, 201, restFlag(made, environment));
    }
    const flag = state.flags.get(key);
    if (!flag) return missing(response);
    if (request.method === 'GET') return answer(response, 200, restFlag(flag, environment));
    if (request.method !== 'PATCH') return false;
    const instructions = instructionsOf(request, input);
    if (refuses(response)) return true;
    if (input.environmentKey !== environment && instructions.some((one) => !['addTags', 'makeFlagPermanent'].includes(one.kind)))
      throw new PatchRefused(400, 'invalid_request', 'environmentKey is required');
    const changed = applyToFlag(flag, instructions);
    if (left > 0) {
      left--;
      return answer(response, 200, restFlag(flag, environment));
    }
    const stored = state.putFlag(changed);
    state.record({ kind: 'flag', key, comment: String(input.comment ?? ''), instructions });
    return answer(response, 200, restFlag(stored, environment));
  };

  const segments = (request: IncomingMessage, response: ServerResponse, key: string | undefined, input: Json): boolean => {
    const state = options.state();
    if (key === undefined) {
      if (request.method === 'GET') return answer(response, 200, { items: [...state.segments.values()] });
      if (request.method !== 'POST') return false;
      if (refuses(response)) return true;
      if (state.segments.has(String(input.key))) return answer(response, 409, { code: 'conflict' });
      const made = state.putSegment({
        key: String(input.key),
        name: String(input.name),
        description: String(input.description ?? ''),
        tags: (input.tags as string[] | undefined) ?? [],
        included: [],
        excluded: [],
        includedContexts: [],
        excludedContexts: [],
      });
      return answer(response, 201, made);
    }
    const segment = state.segments.get(key);
    if (!segment) return missing(response);
    if (request.method === 'GET') return answer(response, 200, segment);
    if (request.method !== 'PATCH') return false;
    const instructions = instructionsOf(request, input);
    if (refuses(response)) return true;
    const stored = state.putSegment(applyToSegment(segment, instructions));
    state.record({ kind: 'segment', key, comment: String(input.comment ?? ''), instructions });
    return answer(response, 200, stored);
  };

  const auditLog = (response: ServerResponse, url: URL): true => {
    const limit = Math.min(Number(url.searchParams.get('limit') ?? 10), 20);
    const before = Number(url.searchParams.get('before') ?? Number.POSITIVE_INFINITY);
    const [, kindAsked, keyAsked = '*'] = /:([a-z]+)\/([^:]+)$/.exec(url.searchParams.get('spec') ?? '') ?? [];
    const items = options
      .state()
      .audit.filter((entry) => entry.date < before)
      .filter((entry) => kindAsked === undefined || entry.kind === kindAsked)
      .filter((entry) => keyAsked === '*' || entry.key === keyAsked)
      .slice(0, limit)
      .map(({ _id, date, kind, key, comment }) => ({
        _id,
        date,
        kind,
        name: key,
        comment,
        accesses: [{ resource: `proj/${project}:env/${environment}:${kind}/${key}` }],
      }));
    return answer(response, 200, { items });
  };

  return {
    refuse(kind, times) {
      refusal = kind;
      left = times;
    },
    handle(request, response, url, body) {
      const [, api, version, collection, ...rest] = url.pathname.split('/').map(decodeURIComponent);
      if (api !== 'api' || version !== 'v2') return false;
      if (request.headers.authorization !== options.token) return answer(response, 401, { code: 'unauthorized' });
      try {
        const input = (body === '' ? {} : JSON.parse(body)) as Json;
        if (collection === 'auditlog' && request.method === 'GET') return auditLog(response, url);
        if (rest[0] !== project) return missing(response);
        if (collection === 'flags' && rest.length <= 2) return flags(request, response, rest[1], input);
        if (collection === 'segments' && rest.length >= 2 && rest.length <= 3) {
          if (rest[1] !== environment) return missing(response);
          return segments(request, response, rest[2], input);
        }
        return false;
      } catch (error) {
        if (error instanceof PatchRefused) return answer(response, error.status, { code: error.code, message: error.message });
        return answer(response, 400, { code: 'invalid_request', message: String(error) });
      }
    },
  };
}
