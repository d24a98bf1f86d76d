// evaluate.ts: flagd-core's answer as a reading, or as the resolution of a flag that is no switch.

import {
  type FlagType,
  type Origin,
  type Position,
  type Reading,
  type Resolution,
  type SourceHealth,
  type Subject,
  type SwitchFlag,
  unknown,
} from '@offswitch/core';
import type { EvaluationContext } from '@openfeature/core';
import type { FeatureFlag } from '@openfeature/flagd-core';
import { type FlagSet, flagMetadata, silentLogger } from './flag-set.ts';
import { fieldsOf } from './rule.ts';
import { targetName, wordsOf } from './words.ts';

/** What a switch's rule can see of a subject. The targeting key is the narrowest id there is. */
export function contextOf(subject: Subject): EvaluationContext {
  const { sessionId, conversationId, workflow, userId } = subject ?? {};
  return {
    targetingKey: sessionId ?? userId ?? workflow ?? 'global',
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(conversationId === undefined ? {} : { conversationId }),
    ...(workflow === undefined ? {} : { workflow }),
    ...(userId === undefined ? {} : { userId }),
  };
}

/** The value is compared strictly with the declared polarity; no value, and no fallback of any caller, is a reading. */
export function evaluateSwitch(
  set: FlagSet,
  feature: FeatureFlag,
  flag: SwitchFlag,
  subject: Subject,
  origin: Origin,
  position: Position,
): Reading {
  const result = feature.evaluate(contextOf(subject), silentLogger);
  if (result.value === undefined) {
    const why =
      'errorMessage' in result && result.errorMessage !== undefined
        ? result.errorMessage
        : 'no rule matched and there is no default variant';
    return unknown('error', `flag ${JSON.stringify(flag.key)} has no value: ${why}`);
  }
  if (typeof result.value !== 'boolean')
    return unknown('wrong-type', `flag ${JSON.stringify(flag.key)} is ${typeof result.value}; a switch is true or false`);
  if (result.value !== flag.engagedWhen) return { state: 'released', origin, position };
  const names = fieldsOf(flag).flatMap((field) => {
    const id = subject?.[field];
    return typeof id === 'string' ? [targetName(field, id)] : [];
  });
  return { state: 'engaged', origin, position, ...wordsOf(flagMetadata(set.document, flag.key), names) };
}

/** flagd's semantics exactly: a disabled flag and a null default have no value, and the caller's own default counts. */
export function resolveFlag(
  set: FlagSet | undefined,
  flagKey: string,
  type: FlagType,
  context: Readonly<Record<string, unknown>>,
  health: SourceHealth,
): Resolution {
  if (!set || health.state === 'closed')
    return { reason: 'ERROR', errorCode: 'PROVIDER_NOT_READY', errorMessage: health.why ?? 'the flag file is closed' };
  const refusal = set.compiled.get(flagKey)?.refusal;
  if (refusal !== undefined)
    return {
      reason: 'ERROR',
      errorCode: 'PARSE_ERROR',
      errorMessage: `flagd refuses the flag ${JSON.stringify(flagKey)}: ${refusal}`,
    };
  // flagd-core hands back the default where there is no value; `undefined` keeps the two apart.
  const none = undefined as unknown as boolean;
  const answer = set.core.resolve(type, flagKey, none, context as EvaluationContext, silentLogger);
  const { value, variant, reason, errorCode, errorMessage, flagMetadata: metadata } = answer;
  return {
    ...(value === undefined ? {} : { value }),
    ...(variant === undefined ? {} : { variant }),
    ...(reason === undefined ? {} : { reason }),
    ...(errorCode === undefined ? {} : { errorCode: errorCode as NonNullable<Resolution['errorCode']> }),
    ...(errorMessage === undefined ? {} : { errorMessage }),
    ...(metadata === undefined ? {} : { flagMetadata: metadata }),
  };
}
