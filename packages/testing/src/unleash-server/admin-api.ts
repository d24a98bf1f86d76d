// admin-api.ts: the admin API of the scripted Unleash: flags, tags, the archive, search. The subset a control needs, worded as
// unleash-server 7.5.1 answers; anything else is `undefined`, and so a 501.

import { fieldsOf, ok, refusal, type UnleashAnswer, type UnleashRequest } from './answer.ts';
import { record, type StoredFlag } from './stored.ts';
import { type AdminContext, environmentApi } from './strategies-api.ts';

/** `request.parts` after `/api/admin`. */
export function adminApi(context: AdminContext, request: UnleashRequest): UnleashAnswer | undefined {
  const { stored, by } = context;
  const [area, ...rest] = request.parts.slice(2);
  switch (area) {
    case 'projects':
      if (rest[0] !== stored.project) return refusal(404, 'NotFoundError', `Could not find project with id = ${rest[0]}`);
      return rest[1] === 'features' ? featuresApi(context, request, rest.slice(2)) : undefined;
    case 'features': {
      const flag = stored.flags.get(rest[0] ?? '');
      if (rest[1] !== 'tags' || rest.length !== 2) return undefined;
      if (!flag) return refusal(404, 'NotFoundError', `Could not find feature with name ${rest[0]}`);
      if (request.method === 'GET') return ok({ version: 1, tags: flag.tags });
      if (request.method !== 'POST') return undefined;
      const { type, value } = fieldsOf(request.body);
      flag.tags.push({ type: String(type), value: String(value) });
      record(stored, by, { type: 'feature-tagged', featureName: flag.name, data: { type, value } });
      return ok({ type, value }, 201);
    }
    case 'archive': {
      const flag = stored.flags.get(rest[0] ?? '');
      if (request.method !== 'DELETE' || rest.length !== 1) return undefined;
      if (flag?.archived) {
        stored.flags.delete(flag.name);
        record(stored, by, { type: 'feature-deleted', featureName: flag.name });
      }
      return ok();
    }
    case 'search':
      if (request.method !== 'GET') return undefined;
      if (rest[0] === 'events') return searchEvents(context, request);
      if (rest[0] === 'features') return searchFeatures(context, request);
      return undefined;
  }
  return undefined;
}

function featuresApi(context: AdminContext, request: UnleashRequest, rest: readonly string[]): UnleashAnswer | undefined {
  const { stored, by } = context;
  if (rest.length === 0) return request.method === 'POST' ? create(context, request) : undefined;
  const [name, what, environment, ...more] = rest;
  const flag = stored.flags.get(name!);
  if (!flag) return refusal(404, 'NotFoundError', `There's no feature named "${name}" in project "${stored.project}".`);
  // Of an archived flag the environment alone is still shown, as it was, and changes are refused (unleash-server 7.5.1).
  if (flag.archived && what === undefined) return refusal(404, 'NotFoundError', `Could not find feature flag with name ${name}`);
  if (flag.archived && request.method !== 'GET')
    return refusal(400, 'ArchivedFeatureError', 'Cannot perform this operation on archived features');
  if (what === 'environments' && environment !== undefined) return environmentApi(context, request, flag, environment, more);
  if (what !== undefined) return undefined;
  switch (request.method) {
    case 'GET':
      return ok(shown(context, flag));
    case 'DELETE':
      flag.archived = true;
      record(stored, by, { type: 'feature-archived', featureName: flag.name });
      return ok(undefined, 202);
  }
  return undefined;
}

function create({ stored, by }: AdminContext, request: UnleashRequest): UnleashAnswer {
  const { name, type, description, impressionData } = fieldsOf(request.body);
  if (typeof name !== 'string' || !/^[\w.~-]+$/.test(name)) return refusal(400, 'BadDataError', '"name" must be URL friendly');
  const existing = stored.flags.get(name);
  if (existing)
    return refusal(
      409,
      'NameExistsError',
      existing.archived ? 'An archived flag with that name already exists' : 'A flag with that name already exists',
    );
  const flag: StoredFlag = {
    name,
    type: typeof type === 'string' ? type : 'release',
    description: typeof description === 'string' ? description : null,
    impressionData: impressionData === true,
    archived: false,
    createdAt: new Date(stored.now()).toISOString(),
    tags: [],
    dependencies: [],
    environments: new Map(stored.environments.map((one) => [one, { enabled: false, strategies: [] }])),
  };
  stored.flags.set(name, flag);
  record(stored, by, { type: 'feature-created', featureName: name, data: { name, type: flag.type } });
  const { environments: _, raw: __, tags: ___, dependencies: ____, ...answer } = flag;
  return ok({ ...answer, project: stored.project }, 201);
}

function shown({ stored }: AdminContext, flag: StoredFlag): unknown {
  const { environments, raw: _, tags: __, ...rest } = flag;
  return {
    ...rest,
    project: stored.project,
    stale: false,
    variants: [],
    environments: [...environments].map(([name, one]) => ({
      name,
      type: name,
      enabled: one.enabled,
      strategies: one.strategies,
    })),
  };
}

/** `feature=IS:x` or `IS_ANY_OF:x,y`, newest first. */
function searchEvents({ stored }: AdminContext, { query }: UnleashRequest): UnleashAnswer {
  const names = query
    .get('feature')
    ?.replace(/^IS(_ANY_OF)?:/, '')
    .split(',')
    .map((one) => one.trim());
  const found = stored.events.filter((one) => !names || names.includes(one.featureName ?? '')).reverse();
  const offset = Number(query.get('offset') ?? 0);
  const events = found.slice(offset, offset + Math.min(Number(query.get('limit') ?? 50), 1000));
  return ok({ events, total: found.length });
}

function searchFeatures({ stored }: AdminContext, { query }: UnleashRequest): UnleashAnswer {
  const isArchived = query.get('archived') === 'IS:true';
  const words = query.get('query') ?? '';
  const features = [...stored.flags.values()]
    .filter((flag) => flag.archived === isArchived && flag.name.includes(words))
    .map((flag) => ({
      name: flag.name,
      type: flag.type,
      project: stored.project,
      archivedAt: isArchived ? flag.createdAt : null,
    }));
  return ok({ features, total: features.length });
}
