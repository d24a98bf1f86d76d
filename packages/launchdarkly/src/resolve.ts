// resolve.ts: the application's own flags, as the SDK answers them, in the words of OpenFeature.

import type { FlagType, Resolution } from '@offswitch/core';
import { contextFromOpenFeature } from './context.ts';
import type { LdClient, LdDetail, LdReason } from './sdk.ts';

/** LaunchDarkly's reasons (SDK reference, "Flag evaluation reasons") in OpenFeature's words. The original is in the metadata. */
const reasons: Readonly<Record<string, string>> = {
  OFF: 'DISABLED',
  FALLTHROUGH: 'DEFAULT',
  TARGET_MATCH: 'TARGETING_MATCH',
  RULE_MATCH: 'TARGETING_MATCH',
  PREREQUISITE_FAILED: 'DEFAULT',
  ERROR: 'ERROR',
};

const errors: Readonly<Record<string, NonNullable<Resolution['errorCode']>>> = {
  CLIENT_NOT_READY: 'PROVIDER_NOT_READY',
  FLAG_NOT_FOUND: 'FLAG_NOT_FOUND',
  MALFORMED_FLAG: 'PARSE_ERROR',
  USER_NOT_SPECIFIED: 'TARGETING_KEY_MISSING',
  WRONG_TYPE: 'TYPE_MISMATCH',
};

/** Never rejects. The value is what `variationDetail` answers; a value of another type than asked for is TYPE_MISMATCH. */
export async function resolveWith(
  client: LdClient,
  flagKey: string,
  type: FlagType,
  context: Readonly<Record<string, unknown>>,
): Promise<Resolution> {
  const translated = contextFromOpenFeature(context);
  if (!translated) return failed('TARGETING_KEY_MISSING', 'the context has no targetingKey, no key and no id of ours');
  try {
    return resolutionOf(flagKey, type, await client.variationDetail(flagKey, translated, undefined));
  } catch (error) {
    return failed(
      'GENERAL',
      `LaunchDarkly's SDK failed on ${flagKey}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function resolutionOf(flagKey: string, type: FlagType, { value, variationIndex, reason }: LdDetail): Resolution {
  const kind = reason?.kind ?? 'UNKNOWN';
  const flagMetadata = metadataOf(reason ?? { kind });
  if (kind === 'ERROR') {
    const errorKind = String(reason?.errorKind);
    return { ...failed(errors[errorKind] ?? 'GENERAL', `${flagKey}: ${errorKind}`), flagMetadata };
  }
  const said = reason?.inExperiment === true ? 'SPLIT' : (reasons[kind] ?? kind);
  // Off with no off variation: the caller's default, as the SDK's own callers get it.
  if (variationIndex === undefined || variationIndex === null) return { reason: said, flagMetadata };
  if (typeof value !== type && value !== null)
    return { ...failed('TYPE_MISMATCH', `${flagKey} holds a ${typeof value}, not a ${type}`), flagMetadata };
  return { value, variant: String(variationIndex), reason: said, flagMetadata };
}

function metadataOf(reason: LdReason): Record<string, string | number | boolean> {
  const metadata: Record<string, string | number | boolean> = { reasonKind: reason.kind };
  const fields: Readonly<Record<string, unknown>> = { ...reason };
  for (const name of ['ruleIndex', 'ruleId', 'prerequisiteKey', 'inExperiment', 'errorKind', 'bigSegmentsStatus']) {
    const value = fields[name];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') metadata[name] = value;
  }
  return metadata;
}

function failed(errorCode: NonNullable<Resolution['errorCode']>, errorMessage: string): Resolution {
  return { reason: 'ERROR', errorCode, errorMessage };
}
