// payload.ts: what comes over the wire, checked before any SDK sees it.
//
// Both SDKs crash the host on valid JSON of another shape (a patch without a path, a list that is none): they parse inside an
// event handler that nobody can catch around. So nothing malformed is passed on.

export type Namespace = 'flags' | 'segments';

export interface Item {
  readonly key: string;
  readonly version: number;
  readonly [field: string]: unknown;
}

export interface Everything {
  readonly flags: ReadonlyMap<string, Item>;
  readonly segments: ReadonlyMap<string, Item>;
}

export type Message =
  | { readonly event: 'put'; readonly all: Everything }
  | { readonly event: 'patch'; readonly namespace: Namespace; readonly item: Item }
  | { readonly event: 'delete'; readonly namespace: Namespace; readonly key: string; readonly version: number }
  /** Well formed, and about something that is not kept here. */
  | { readonly event: 'other' };

/** Throws an Error that says what is wrong, without the data. */
export function parseMessage(event: string, text: string): Message {
  switch (event) {
    case 'put': {
      const data = object(JSON.parse(text), 'put');
      return { event, all: parseEverything(object(data.data, 'the data of a put')) };
    }
    case 'patch':
    case 'delete': {
      const data = object(JSON.parse(text), event);
      const { path } = data;
      if (typeof path !== 'string') throw new Error(`a ${event} has no path`);
      const [, namespace, key] = /^\/(flags|segments)\/(.+)$/.exec(path) ?? [];
      if (namespace === undefined || key === undefined) return { event: 'other' };
      if (event === 'patch')
        return { event, namespace: namespace as Namespace, item: parseItem(namespace as Namespace, key, data.data) };
      return { event, namespace: namespace as Namespace, key, version: version(data.version, path) };
    }
    default:
      return { event: 'other' };
  }
}

/** The body of `/sdk/latest-all`, or of a put. */
export function parseEverything(data: unknown): Everything {
  const all = object(data, 'the flag data');
  const items = (namespace: Namespace): Map<string, Item> => {
    // An environment without segments may leave them out; one without flags says so.
    const found = object(all[namespace] ?? (namespace === 'segments' ? {} : undefined), namespace);
    const kept = new Map<string, Item>();
    for (const [key, data] of Object.entries(found)) {
      const item = parseItem(namespace, key, data);
      // A store may show what was deleted; to whoever asks for everything it is as good as absent.
      if (item.deleted !== true) kept.set(key, item);
    }
    return kept;
  };
  return { flags: items('flags'), segments: items('segments') };
}

function parseItem(namespace: Namespace, key: string, data: unknown): Item {
  const item = object(data, `${namespace}/${key}`);
  if (item.key !== key) throw new Error(`${namespace}/${key} has another key inside`);
  version(item.version, key);
  if (item.deleted === true) return item as Item;
  if (namespace === 'flags') {
    if (typeof item.on !== 'boolean') throw new Error(`flag ${key} has no on`);
    if (!Array.isArray(item.variations)) throw new Error(`flag ${key} has no variations`);
    for (const field of ['targets', 'contextTargets', 'rules', 'prerequisites'] as const) objects(item[field], `${key}.${field}`);
    if (item.fallthrough !== undefined && item.fallthrough !== null)
      bucketing(object(item.fallthrough, `${key}.fallthrough`).rollout, `${key}.fallthrough`);
    for (const list of [...objects(item.targets, key), ...objects(item.contextTargets, key)]) array(list.values, `${key}.values`);
  } else {
    for (const field of ['included', 'excluded'] as const) array(item[field] ?? [], `${key}.${field}`);
    for (const field of ['includedContexts', 'excludedContexts'] as const)
      for (const list of objects(item[field], `${key}.${field}`)) array(list.values, `${key}.${field}`);
  }
  for (const rule of objects(item.rules, `${key}.rules`)) {
    for (const clause of objects(rule.clauses, `${key}.clauses`)) {
      array(clause.values, `${key}.clauses.values`);
      text(clause.attribute, `${key}.clauses.attribute`);
    }
    text(rule.bucketBy, `${key}.rules.bucketBy`);
    bucketing(rule.rollout, `${key}.rules`);
  }
  return item as Item;
}

/** SDK 9 reads an attribute's name as it takes a flag in, and throws where it is none. */
function bucketing(rollout: unknown, what: string): void {
  if (rollout !== undefined && rollout !== null) text(object(rollout, `${what}.rollout`).bucketBy, `${what}.bucketBy`);
}

function text(value: unknown, what: string): void {
  if (value !== undefined && value !== null && typeof value !== 'string') throw new Error(`${what} is no text`);
}

function object(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} is no object`);
  return value as Readonly<Record<string, unknown>>;
}

function array(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${what} is no list`);
  return value;
}

function objects(value: unknown, what: string): readonly Readonly<Record<string, unknown>>[] {
  return value === undefined || value === null ? [] : array(value, what).map((one) => object(one, what));
}

function version(value: unknown, what: string): number {
  if (!(typeof value === 'number' && Number.isSafeInteger(value) && value >= 0)) throw new Error(`${what} has no version`);
  return value;
}
