// features-api.ts: the management API of features, version 2: read, create, replace parts of, toggle, list revisions.

import { fieldsOf, type GrowthBookAnswer, type GrowthBookRequest, ok, page, refusal } from './answer.ts';
import { publishRevision, type Stored, type StoredFeature, type StoredRule, type ValueType } from './stored.ts';

export interface ApiContext {
  readonly stored: Stored;
  readonly environments: readonly string[];
  /** Who asks, as revisions record it. */
  readonly by: string;
  readonly requiresApproval: boolean;
  /** ISO 8601 time of the change, later than every one before. */
  stamp(): string;
  /** The payload of the connections is made anew and pushed. */
  changed(): void;
}

const approval = (environments: readonly string[]): GrowthBookAnswer =>
  refusal(403, `This feature requires a review before publishing changes to: ${environments.join(', ')}`);

export function featuresApi(
  context: ApiContext,
  request: GrowthBookRequest,
  rest: readonly string[],
): GrowthBookAnswer | undefined {
  const { stored } = context;
  const [id, action] = rest;
  const route = `${request.method} ${rest.length}${action === undefined ? '' : ` ${action}`}`;
  if (route === 'GET 0') return page('features', [...stored.features.values()], request.query);
  if (route === 'POST 0') return create(context, request);
  const feature = stored.features.get(id!);
  if (!feature)
    return refusal(action === undefined && request.method === 'GET' ? 404 : 400, `Could not find a feature with that key: ${id}`);
  switch (route) {
    case 'GET 1':
      return ok({ feature });
    case 'POST 1':
      return update(context, request, feature);
    case 'POST 2 toggle':
      return toggle(context, request, feature);
    case 'GET 2 revisions':
      return page('revisions', [...(stored.revisions.get(feature.id) ?? [])].reverse(), request.query);
  }
  return undefined;
}

function create(context: ApiContext, request: GrowthBookRequest): GrowthBookAnswer {
  const { id, valueType, defaultValue, description, owner, project, tags, rules, environments } = fieldsOf(request.body);
  if (typeof id !== 'string' || !/^[\w.:|-]+$/.test(id))
    return refusal(400, 'id: must be letters, numbers and the characters _-.:|');
  if (context.stored.features.has(id)) return refusal(400, `Feature id '${id}' already exists.`);
  if (!['boolean', 'string', 'number', 'json'].includes(String(valueType))) return refusal(400, 'valueType: is required');
  if (typeof defaultValue !== 'string') return refusal(400, 'defaultValue: expected string');
  const given = rulesOf(rules ?? []);
  if (typeof given === 'string') return refusal(400, given);
  const enabled = fieldsOf(environments);
  const unknown = Object.keys(enabled).find((name) => !context.environments.includes(name));
  if (unknown !== undefined) return refusal(400, `Environment key '${unknown}' not recognized`);
  const now = context.stamp();
  const feature: StoredFeature = {
    id,
    archived: false,
    description: String(description ?? ''),
    owner: String(owner ?? ''),
    project: String(project ?? ''),
    valueType: valueType as ValueType,
    defaultValue,
    tags: (tags ?? []) as string[],
    rules: withIds(given),
    environments: Object.fromEntries(
      context.environments.map((name) => [name, { enabled: fieldsOf(enabled[name]).enabled === true }]),
    ),
    prerequisites: (fieldsOf(request.body).prerequisites ?? []) as string[],
    revision: { version: 0, comment: '', date: now, publishedBy: '', status: 'published', defaultValue, rules: [] },
    dateCreated: now,
    dateUpdated: now,
  };
  context.stored.features.set(id, feature);
  publishRevision(context.stored, feature, 'Created via REST API', context.by, now);
  context.changed();
  return ok({ feature });
}

function update(context: ApiContext, request: GrowthBookRequest, feature: StoredFeature): GrowthBookAnswer {
  const { rules, defaultValue, environments, archived, description, tags } = fieldsOf(request.body);
  const given = rules === undefined ? undefined : rulesOf(rules);
  if (typeof given === 'string') return refusal(400, given);
  if (context.requiresApproval && (given !== undefined || defaultValue !== undefined)) return approval(context.environments);
  if (given !== undefined) feature.rules = withIds(given);
  if (typeof defaultValue === 'string') feature.defaultValue = defaultValue;
  if (typeof archived === 'boolean') feature.archived = archived;
  if (typeof description === 'string') feature.description = description;
  if (Array.isArray(tags)) feature.tags = tags as string[];
  for (const [name, one] of Object.entries(fieldsOf(environments)))
    feature.environments[name] = { enabled: fieldsOf(one).enabled === true };
  publishRevision(context.stored, feature, 'Updated via REST API', context.by, context.stamp());
  context.changed();
  return ok({ feature });
}

function toggle(context: ApiContext, request: GrowthBookRequest, feature: StoredFeature): GrowthBookAnswer {
  const { environments } = fieldsOf(request.body);
  for (const [name, value] of Object.entries(fieldsOf(environments))) {
    if (!context.environments.includes(name)) return refusal(400, `Unknown environment: '${name}'`);
    feature.environments[name] = { enabled: [true, 'true', '1', 1].includes(value as string) };
  }
  publishRevision(
    context.stored,
    feature,
    `Toggled: ${String(fieldsOf(request.body).reason ?? '')}`,
    context.by,
    context.stamp(),
  );
  context.changed();
  return ok({ feature });
}

/** The rules as given, or what is wrong with them. This server speaks force rules. */
function rulesOf(rules: unknown): StoredRule[] | string {
  if (!Array.isArray(rules)) return 'rules: expected array';
  for (const rule of rules as StoredRule[]) {
    if (rule.type !== 'force') return `rules: this scripted server speaks force rules, not ${JSON.stringify(rule.type)}`;
    if (typeof rule.value !== 'string') return 'rules: value: expected string';
    if (rule.allEnvironments !== true && !Array.isArray(rule.environments))
      return 'rules: environments: is required unless allEnvironments is true';
    try {
      if (rule.condition !== undefined) JSON.parse(rule.condition);
    } catch {
      return 'rules: condition: invalid JSON';
    }
  }
  return structuredClone(rules as StoredRule[]);
}

let lastRule = 0;
function withIds(rules: readonly StoredRule[]): StoredRule[] {
  return rules.map((rule) => ({ ...rule, id: rule.id ?? `fr_${++lastRule}`, enabled: rule.enabled ?? true }));
}
