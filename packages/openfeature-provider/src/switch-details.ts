// switch-details.ts: a reading of a switch as OpenFeature resolution details.
//
// The two must not drift apart: what could not be told is an error code and never a value, so that the SDK answers with the
// caller's default and says why (specification 2.2.7, 1.4.10).

import { type Reading, type Subject, type SwitchFlag, subjectId, type UnknownCause } from '@offswitch/core';
import {
  ErrorCode,
  type FlagMetadata,
  type JsonValue,
  type ResolutionDetails,
  StandardResolutionReasons,
} from '@openfeature/server-sdk';

type Definite = Exclude<Reading, { state: 'unknown' }>;
type Unknown = Extract<Reading, { state: 'unknown' }>;

/** As a boolean: is it engaged? */
export function asBoolean(reading: Definite): boolean {
  return reading.state === 'engaged';
}

/** As a string: what a session it covers must do now, `run`, `pause` or `terminate`. */
export function asAction(flag: SwitchFlag, reading: Definite): string {
  return reading.state === 'engaged' ? flag.action : 'run';
}

/** As an object: the whole reading, a copy made of JSON. */
export function asObject(reading: Definite): JsonValue {
  const { series, n, watch } = reading.position;
  return {
    state: reading.state,
    origin: reading.origin,
    position: { series, ...(n === undefined ? {} : { n }), ...(watch === undefined ? {} : { watch }) },
    ...(reading.state === 'engaged' && reading.reason !== undefined ? { reason: reading.reason } : {}),
    ...(reading.state === 'engaged' && reading.by !== undefined ? { by: reading.by } : {}),
  };
}

/** Details of a definite reading. `contextId`, `flagSetId` and `version` are the metadata keys of specification Appendix D, which telemetry maps. */
export function definiteDetails<T>(flag: SwitchFlag, subject: Subject, reading: Definite, value: T): ResolutionDetails<T> {
  const { series, n } = reading.position;
  const contextId = subjectId(flag.tier, subject);
  return {
    value,
    variant: reading.state,
    reason: reasonOf(flag, reading),
    flagMetadata: {
      ...switchMetadata(flag),
      series,
      flagSetId: series,
      origin: reading.origin,
      ...(n === undefined ? {} : { version: n }),
      ...(contextId === undefined || contextId === '' ? {} : { contextId }),
    },
  };
}

/** Details of a reading that could not be had: the caller's default, with the code of the cause. */
export function unknownDetails<T>(flag: SwitchFlag, reading: Unknown, defaultValue: T): ResolutionDetails<T> {
  return {
    value: defaultValue,
    reason: StandardResolutionReasons.ERROR,
    errorCode: errorCodeOf(reading.cause),
    errorMessage: reading.message,
    flagMetadata: { ...switchMetadata(flag), cause: reading.cause },
  };
}

/** Metadata every answer about a switch carries, an error too: its fixed semantics (S12). */
function switchMetadata(flag: SwitchFlag): FlagMetadata {
  return {
    tier: flag.tier,
    action: flag.action,
    effect: flag.effect,
    ...(flag.workflow === undefined ? {} : { workflow: flag.workflow }),
  };
}

function reasonOf(flag: SwitchFlag, reading: Definite): string {
  if (reading.origin === 'cached') return StandardResolutionReasons.CACHED;
  switch (flag.tier) {
    case 'global':
    case 'feature':
      return StandardResolutionReasons.STATIC;
    case 'user':
    case 'instance':
      return reading.state === 'engaged' ? StandardResolutionReasons.TARGETING_MATCH : StandardResolutionReasons.DEFAULT;
  }
}

/** PARSE_ERROR, not TYPE_MISMATCH, for a wrong-typed flag: the caller asked rightly, it is the vendor's data that is no switch. */
function errorCodeOf(cause: UnknownCause): ErrorCode {
  switch (cause) {
    case 'not-ready':
      return ErrorCode.PROVIDER_NOT_READY;
    case 'not-found':
      return ErrorCode.FLAG_NOT_FOUND;
    case 'wrong-type':
      return ErrorCode.PARSE_ERROR;
    case 'untargeted':
    case 'stale':
    case 'error':
      return ErrorCode.GENERAL;
  }
}
