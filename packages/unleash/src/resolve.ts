// resolve.ts: the application's other flags, exactly as its Unleash client answers, put into OpenFeature's words.
//
// A boolean is `isEnabled`; a string, number or object is the payload of the variant, by the payload's own type.

import type { FlagType, Resolution } from '@offswitch/core';
import type { Context, Unleash } from 'unleash-client';

export type ResolvingClient = Pick<Unleash, 'isEnabled' | 'getVariant' | 'getFeatureToggleDefinition'>;

/** Fields of Unleash's context that are its own; everything else is a property (docs.getunleash.io, "Unleash context"). */
const ownFields = new Set(['userId', 'sessionId', 'remoteAddress', 'environment', 'appName']);

/** OpenFeature's targeting key is Unleash's user id, unless one is given. Booleans and dates become text; nested values are left out. */
export function contextOfEvaluation(given: Readonly<Record<string, unknown>>): Context {
  const context: Context = {};
  const properties: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(given)) {
    if (name === 'targetingKey') continue;
    if (name === 'currentTime') {
      const at = value instanceof Date ? value : new Date(String(value));
      if (!Number.isNaN(at.getTime())) context.currentTime = at;
      continue;
    }
    const simple = value instanceof Date ? value.toISOString() : typeof value === 'boolean' ? String(value) : value;
    if (typeof simple !== 'string' && typeof simple !== 'number') continue;
    if (ownFields.has(name)) context[name] = String(simple);
    // A property may be called anything; defined, and not assigned, it stays one.
    else Object.defineProperty(properties, name, { value: simple, enumerable: true, configurable: true, writable: true });
  }
  if (context.userId === undefined && typeof given.targetingKey === 'string') context.userId = given.targetingKey;
  context.properties = properties;
  return context;
}

export function resolveFlag(
  client: ResolvingClient,
  flagKey: string,
  type: FlagType,
  given: Readonly<Record<string, unknown>>,
): Resolution {
  try {
    const definition = client.getFeatureToggleDefinition(flagKey);
    if (!definition) return failed('FLAG_NOT_FOUND', `Unleash sends no flag ${JSON.stringify(flagKey)}`);
    const context = contextOfEvaluation(given ?? {});
    const flagMetadata = {
      ...(typeof definition.type === 'string' ? { type: definition.type } : {}),
      ...(typeof definition.project === 'string' ? { project: definition.project } : {}),
      ...(typeof definition.stale === 'boolean' ? { stale: definition.stale } : {}),
    };
    const isOff = definition.enabled === false;
    if (type === 'boolean') {
      const value = client.isEnabled(flagKey, context, false);
      return { value, reason: value ? 'TARGETING_MATCH' : isOff ? 'DISABLED' : 'DEFAULT', flagMetadata };
    }
    const variant = client.getVariant(flagKey, context);
    if (!hasVariants(definition) && !isOff)
      return { ...failed('TYPE_MISMATCH', `flag ${JSON.stringify(flagKey)} has no variants, so it is a boolean`), flagMetadata };
    // No value, and no error: the caller's own default counts.
    if (!variant.enabled) return { reason: isOff ? 'DISABLED' : 'DEFAULT', flagMetadata };
    const { payload, name } = variant;
    if (!payload)
      return {
        ...failed('TYPE_MISMATCH', `variant ${JSON.stringify(name)} of ${JSON.stringify(flagKey)} has no payload`),
        flagMetadata,
      };
    const kind: string = payload.type;
    const answer = payloadAs(kind, payload.value, type);
    if ('errorCode' in answer)
      return {
        ...failed(answer.errorCode, `variant ${JSON.stringify(name)} of ${JSON.stringify(flagKey)} ${answer.why}`),
        flagMetadata,
      };
    return { value: answer.value, variant: name, reason: 'TARGETING_MATCH', flagMetadata };
  } catch (error) {
    return failed('GENERAL', `the client failed to evaluate ${JSON.stringify(flagKey)}: ${String(error)}`);
  }
}

function hasVariants({ variants, strategies }: NonNullable<ReturnType<ResolvingClient['getFeatureToggleDefinition']>>): boolean {
  return (variants?.length ?? 0) > 0 || (strategies ?? []).some((one) => (one.variants?.length ?? 0) > 0);
}

type Wrong = { readonly errorCode: 'TYPE_MISMATCH' | 'PARSE_ERROR'; readonly why: string };

function payloadAs(kind: string, text: string, type: FlagType): { readonly value: unknown } | Wrong {
  const mismatch: Wrong = { errorCode: 'TYPE_MISMATCH', why: `has a payload of type ${kind}, not a ${type}` };
  switch (kind) {
    case 'string':
    case 'csv':
      return type === 'string' ? { value: text } : mismatch;
    case 'number': {
      if (type !== 'number') return mismatch;
      const value = Number(text);
      const isNumber = text.trim() !== '' && Number.isFinite(value);
      return isNumber ? { value } : { errorCode: 'PARSE_ERROR', why: 'has a number payload that is no number' };
    }
    case 'json': {
      if (type !== 'object') return mismatch;
      try {
        const value: unknown = JSON.parse(text);
        return typeof value === 'object' && value !== null ? { value } : mismatch;
      } catch {
        return { errorCode: 'PARSE_ERROR', why: 'has a JSON payload that does not parse' };
      }
    }
  }
  return mismatch;
}

function failed(errorCode: NonNullable<Resolution['errorCode']>, errorMessage: string): Resolution {
  return { reason: 'ERROR', errorCode, errorMessage };
}
