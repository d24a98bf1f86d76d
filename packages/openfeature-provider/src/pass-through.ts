// pass-through.ts: flags that are no switches, as the source's vendor evaluates them.
//
// The SDK checks no types, so a provider that passes on what came would hand a string to code that asked for a boolean.

import type { FlagType, Resolution } from '@offswitch/core';
import { ErrorCode, type FlagMetadata, type ResolutionDetails, StandardResolutionReasons } from '@openfeature/server-sdk';

/**
 * A vendor's answer as resolution details of the type asked for: variant, reason, metadata and error code are kept. A value of
 * another type is TYPE_MISMATCH; no value and no error (a disabled flag) is the caller's default with the vendor's reason.
 */
export function passThroughDetails<T>(resolution: Resolution, type: FlagType, defaultValue: T): ResolutionDetails<T> {
  if (typeof resolution !== 'object' || resolution === null)
    return failed(ErrorCode.GENERAL, 'the source gave no resolution', defaultValue);
  const flagMetadata = metadataOf(resolution.flagMetadata);
  if (resolution.errorCode !== undefined)
    return { ...failed(errorCodeOf(resolution.errorCode), resolution.errorMessage, defaultValue), flagMetadata };
  const { value } = resolution;
  if (value === undefined || value === null)
    return { value: defaultValue, reason: resolution.reason ?? StandardResolutionReasons.DEFAULT, flagMetadata };
  if (typeof value !== type)
    return { ...failed(ErrorCode.TYPE_MISMATCH, `the flag holds a ${typeof value}, not a ${type}`, defaultValue), flagMetadata };
  return {
    value: value as T,
    ...(resolution.variant === undefined ? {} : { variant: resolution.variant }),
    ...(resolution.reason === undefined ? {} : { reason: resolution.reason }),
    flagMetadata,
  };
}

function failed<T>(errorCode: ErrorCode, errorMessage: string | undefined, value: T): ResolutionDetails<T> {
  return {
    value,
    reason: StandardResolutionReasons.ERROR,
    errorCode,
    ...(errorMessage === undefined ? {} : { errorMessage }),
  };
}

function errorCodeOf(code: NonNullable<Resolution['errorCode']>): ErrorCode {
  // A source of somebody else's making may say a code the union does not hold.
  return ErrorCode[code] ?? ErrorCode.GENERAL;
}

/** Only what the specification lets metadata hold (2.2.9): booleans, strings and numbers. */
function metadataOf(metadata: Resolution['flagMetadata']): FlagMetadata {
  const kept: FlagMetadata = {};
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number') kept[key] = value;
  }
  return kept;
}
