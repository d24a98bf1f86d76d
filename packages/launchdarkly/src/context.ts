// context.ts: whom LaunchDarkly evaluates for: our subjects as its multi-kind contexts, and OpenFeature's contexts as well.

import type { Subject } from '@offswitch/core';

export type LdContext = Readonly<Record<string, unknown>> & { readonly kind: string };

/** Stands in where a switch is about nobody in particular, for an empty context is refused by 9.x. Anonymous, so that no list of contexts shows it. */
export const serviceContext: LdContext = Object.freeze({ kind: 'offswitch', key: 'offswitch', anonymous: true });

/** The context kinds a switch may be targeted by in the dashboard, and where each comes from. */
const kinds = [
  ['user', 'userId'],
  ['session', 'sessionId'],
  ['conversation', 'conversationId'],
  ['workflow', 'workflow'],
] as const;

/** A multi-kind context of every id that is known, never an empty one. What is no id (not a string, or empty) is left out. */
export function contextOf(subject: Subject | null | undefined): LdContext {
  let only: string | undefined;
  let multi: Record<string, unknown> | undefined;
  for (const [kind, field] of kinds) {
    const key: unknown = subject?.[field];
    if (typeof key !== 'string' || key === '') continue;
    if (only === undefined) {
      only = kind;
      multi = { kind: 'multi', [kind]: { key } };
    } else {
      multi![kind] = { key };
      only = '';
    }
  }
  if (only === undefined || !multi) return serviceContext;
  return only === '' ? (multi as LdContext) : { kind: only, ...(multi[only] as { key: string }) };
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * An OpenFeature evaluation context as LaunchDarkly's. `kind: 'multi'` and single kinds as its own provider translates them
 * (`targetingKey` is the key, else `key`; dates as ISO text; `privateAttributes` into `_meta`). Beyond it: `userId`,
 * `sessionId`, `conversationId` and `workflow` of our own contexts become kinds of their own where the context names no kind, so
 * that a flag targeted at a session finds it. Undefined: there is nobody to evaluate for.
 */
export function contextFromOpenFeature(context: Fields): LdContext | undefined {
  if (context.kind === 'multi') {
    const parts = Object.entries(context).flatMap(([kind, value]): [string, Fields][] => {
      const part = isFields(value) ? single(value) : undefined;
      return part ? [[kind, part]] : [];
    });
    return parts.length === 0 ? undefined : { kind: 'multi', ...Object.fromEntries(parts) };
  }
  const kind = typeof context.kind === 'string' && context.kind !== '' ? context.kind : 'user';
  const own = single(context);
  if (typeof context.kind === 'string') return own && { ...own, kind };
  const ours = contextOf(context as Subject);
  if (ours === serviceContext) return own && { ...own, kind };
  const parts: Record<string, unknown> = ours.kind === 'multi' ? { ...ours } : { kind: 'multi', [ours.kind]: { key: ours.key } };
  if (own) parts.user = { ...own, key: isFields(parts.user) ? parts.user.key : own.key };
  return parts as LdContext;
}

function single(context: Fields): Fields | undefined {
  const key = context.targetingKey ?? context.key;
  if (typeof key !== 'string' || key === '') return undefined;
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(context)) {
    if (name === 'targetingKey' || name === 'key' || name === 'kind' || name === 'privateAttributes') continue;
    if (name === 'anonymous' && typeof value !== 'boolean') continue;
    if (name === 'name' && typeof value !== 'string') continue;
    kept[name] = value instanceof Date ? value.toISOString() : value;
  }
  const { privateAttributes } = context;
  if (Array.isArray(privateAttributes)) kept._meta = { privateAttributes };
  return { ...kept, key };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
