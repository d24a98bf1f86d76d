// client-reading.ts: one evaluation of an OpenFeature client as a reading.
//
// The client never throws: every failure is the caller's default, and the application's own hooks stand between the vendor and
// us. So two things are done that an ordinary caller does not do. The default is always "engaged", so that a default can
// never look like a release; and a hook of our own sits next to the provider, to see its answer before anybody's `after` hook
// can throw it away.

import { type Position, type Reading, type SwitchFlag, unknown } from '@offswitch/core';
import {
  type Client,
  ErrorCode,
  type EvaluationContext,
  type EvaluationDetails,
  type FlagValue,
  type Hook,
  StandardResolutionReasons,
} from '@openfeature/server-sdk';
import { swapped } from './client-health.ts';
import { wordsOf } from './deadline.ts';

export interface ClientReadingInput {
  readonly client: Client;
  readonly flag: SwitchFlag;
  readonly context: EvaluationContext;
  readonly position: Position;
  /** The provider has told that its data is old: nothing it says now is live. */
  readonly isStale: boolean;
  /** Name of the provider this source was opened on; an answer of another one is none. */
  readonly providerName: string | undefined;
}

/** Reads one switch. Never rejects; hangs as long as the provider does, so call it under a deadline. */
export async function readClient(input: ClientReadingInput): Promise<Reading> {
  const { flag, position } = input;
  const first = await evaluate(input, flag.engagedWhen);
  if ('state' in first) return first;
  const origin = input.isStale || first.isOld ? 'cached' : 'live';
  // Not what we offered, so it is the vendor's own answer.
  if (first.value !== flag.engagedWhen) return { state: 'released', origin, position };
  // It may be the vendor's answer or our own default come back (DISABLED, DEFAULT, a provider of a vendor that says neither).
  // Offered the opposite, only the vendor's answer stays.
  const second = await evaluate(input, !flag.engagedWhen);
  if ('state' in second) return second;
  if (second.value !== flag.engagedWhen) {
    const reason = first.reason === undefined ? '' : ` (reason ${first.reason})`;
    return unknown(
      'not-found',
      `${flag.key} has no value at the vendor: the caller's default came back${reason}; is the flag off or archived?`,
    );
  }
  return { state: 'engaged', origin: input.isStale || second.isOld ? 'cached' : origin, position };
}

interface Answer {
  readonly value: boolean;
  readonly reason: string | undefined;
  readonly isOld: boolean;
}

async function evaluate(input: ClientReadingInput, offered: boolean): Promise<Answer | Reading> {
  const { client, flag, context, providerName } = input;
  let seen: Omit<EvaluationDetails<FlagValue>, 'flagKey'> | undefined;
  let answeredBy: string | undefined;
  // Invocation hooks run after the application's in `before` and before them in `after` (specification 4.4.2).
  const nextToProvider: Hook = {
    before(hookContext) {
      answeredBy = hookContext.providerMetadata.name;
      // What a hook of the application made of our subject is undone: whom a switch is read for is not theirs to say.
      return context;
    },
    after(_, details) {
      seen = { ...details };
    },
  };
  const details: EvaluationDetails<FlagValue> = await client.getBooleanDetails(flag.key, offered, context, {
    hooks: [nextToProvider],
  });
  const now = client.metadata.providerMetadata.name;
  if (providerName !== undefined && (now !== providerName || (answeredBy ?? now) !== providerName))
    return unknown('error', swapped(providerName, now));

  if (seen === undefined) return failureOf(flag, details);
  if (typeof seen.value !== 'boolean')
    return unknown(
      'wrong-type',
      `${flag.key} is ${seen.value === null ? 'null' : `a ${typeof seen.value}`}; a switch is a boolean`,
    );
  const answer: Answer = { value: seen.value, reason: seen.reason, isOld: isOld(seen.reason) };
  if (seen.reason === StandardResolutionReasons.ERROR)
    return unknown('error', `${flag.key} was answered with reason ERROR and no error code`);
  // A stop that the vendor gave stays one whatever a hook did next; a release that a hook disturbed is not believed.
  if (seen.value === flag.engagedWhen) return answer;
  if (details.errorCode !== undefined || details.value !== seen.value || details.reason === StandardResolutionReasons.ERROR)
    return unknown(
      'error',
      `a hook of the application disturbed the evaluation of ${flag.key}: ${wordsOf(details.errorMessage ?? 'value changed')}`,
    );
  return answer;
}

function isOld(reason: string | undefined): boolean {
  return reason === StandardResolutionReasons.CACHED || reason === StandardResolutionReasons.STALE;
}

function failureOf(flag: SwitchFlag, details: EvaluationDetails<FlagValue>): Reading {
  const message = `${flag.key}: ${details.errorMessage || `evaluation failed with ${details.errorCode ?? 'no error code'}`}`;
  switch (details.errorCode) {
    case ErrorCode.FLAG_NOT_FOUND:
      return unknown('not-found', message);
    case ErrorCode.TYPE_MISMATCH:
      return unknown('wrong-type', message);
    case ErrorCode.PROVIDER_NOT_READY:
      return unknown('not-ready', message);
    case ErrorCode.PROVIDER_FATAL:
    case ErrorCode.PARSE_ERROR:
    case ErrorCode.TARGETING_KEY_MISSING:
    case ErrorCode.INVALID_CONTEXT:
    case ErrorCode.GENERAL:
    case undefined:
      return unknown('error', message);
  }
  return unknown('error', message);
}
