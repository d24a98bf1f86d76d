// resolve.ts: the application's own flags, as the vendor's evaluator answers them, in OpenFeature's words.
//
// Value and variant are the SDK's and never changed. A feature that the SDK does not know is FLAG_NOT_FOUND, and one whose
// prerequisite is not met has no value, so that the caller's default counts, as with the SDK's own `getFeatureValue`.

import type { FeatureResult } from '@growthbook/growthbook';
import type { FlagType, Resolution } from '@offswitch/core';
import type { Attributes, DataSet } from './data-set.ts';

export function resolveFeature(
  set: DataSet,
  key: string,
  type: FlagType,
  context: Readonly<Record<string, unknown>>,
): Resolution {
  let result: FeatureResult | undefined;
  try {
    result = set.evaluate(key, attributesOfContext(context));
  } catch (error) {
    return failed('PARSE_ERROR', `the feature ${JSON.stringify(key)} cannot be evaluated: ${String(error)}`);
  }
  if (!result) return failed('FLAG_NOT_FOUND', `the payload has no feature ${JSON.stringify(key)}`);
  const flagMetadata = metadataOf(result);
  const reason = reasonOf(set, key, result);
  if (result.source === 'cyclicPrerequisite')
    return { ...failed('GENERAL', `the prerequisites of ${JSON.stringify(key)} go round in a circle`), flagMetadata };
  const value: unknown = result.value;
  if (value === null || value === undefined) return { reason, flagMetadata };
  if (typeof value !== type)
    return { ...failed('TYPE_MISMATCH', `the feature ${JSON.stringify(key)} is a ${typeof value}, not a ${type}`), flagMetadata };
  const variant = result.experimentResult?.key;
  return { value, ...(variant === undefined ? {} : { variant }), reason, flagMetadata };
}

/**
 * An OpenFeature context as attributes: every field as it stands, dates as ISO text, and `targetingKey` as `id`, GrowthBook's
 * default hash attribute, unless the context has an `id` of its own.
 */
export function attributesOfContext(context: Readonly<Record<string, unknown>>): Attributes {
  const attributes: Record<string, unknown> = {};
  if (context.targetingKey !== undefined) attributes.id = context.targetingKey;
  for (const [name, value] of Object.entries(context))
    if (name !== '__proto__') attributes[name] = value instanceof Date ? value.toISOString() : value;
  return attributes;
}

function reasonOf(set: DataSet, key: string, result: FeatureResult): string {
  switch (result.source) {
    case 'force':
      return 'TARGETING_MATCH';
    case 'experiment':
      return 'SPLIT';
    case 'override':
      return 'STATIC';
    case 'prerequisite':
      return 'DISABLED';
    case 'defaultValue':
      return (set.features[key]?.rules?.length ?? 0) > 0 ? 'DEFAULT' : 'STATIC';
    case 'unknownFeature':
    case 'cyclicPrerequisite':
      return 'ERROR';
  }
}

function metadataOf(result: FeatureResult): Record<string, string | number | boolean> {
  const { source, ruleId, experiment } = result;
  return { source, ...(ruleId === '' ? {} : { ruleId }), ...(experiment ? { experimentKey: experiment.key } : {}) };
}

function failed(errorCode: NonNullable<Resolution['errorCode']>, errorMessage: string): Resolution {
  return { reason: 'ERROR', errorCode, errorMessage };
}
