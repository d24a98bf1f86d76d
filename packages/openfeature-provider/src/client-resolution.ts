// client-resolution.ts: flags that are no switches, through an OpenFeature client, for whoever stands behind the source.
//
// A source gives the vendor's value or none; the default is the caller's. A client always gives a value, so a sentinel is
// offered that no vendor holds, and a sentinel that comes back is "none".

import type { FlagType, Resolution } from '@offswitch/core';
import { type Client, ErrorCode, type EvaluationContext, type EvaluationDetails, type FlagValue } from '@openfeature/server-sdk';

const noString = '\u0000offswitch: no value';

/** Evaluates one flag. Rejects only where the client throws. */
export async function resolveClient(
  client: Client,
  flagKey: string,
  type: FlagType,
  context: EvaluationContext,
): Promise<Resolution> {
  switch (type) {
    case 'boolean': {
      // Two values leave no room for a sentinel: what changes with the default is the default.
      const details = await client.getBooleanDetails(flagKey, false, context);
      if (details.errorCode !== undefined || details.value !== false) return resolutionOf(details, false);
      const again = await client.getBooleanDetails(flagKey, true, context);
      return resolutionOf(details, again.errorCode === undefined && again.value !== false);
    }
    case 'string': {
      const details = await client.getStringDetails(flagKey, noString, context);
      return resolutionOf(details, details.value === noString);
    }
    case 'number': {
      const details = await client.getNumberDetails(flagKey, Number.NaN, context);
      return resolutionOf(details, Number.isNaN(details.value));
    }
    case 'object': {
      const none = Object.freeze({});
      const details = await client.getObjectDetails(flagKey, none, context);
      return resolutionOf(details, details.value === none);
    }
  }
}

function resolutionOf(details: EvaluationDetails<FlagValue>, isDefault: boolean): Resolution {
  const { value, variant, reason, errorCode, errorMessage, flagMetadata } = details;
  return {
    ...(errorCode === undefined && !isDefault ? { value } : {}),
    ...(variant === undefined ? {} : { variant }),
    ...(reason === undefined ? {} : { reason }),
    // A source has no word for FATAL: it is broken, and says how in the message.
    ...(errorCode === undefined ? {} : { errorCode: errorCode === ErrorCode.PROVIDER_FATAL ? 'GENERAL' : errorCode }),
    ...(errorMessage === undefined ? {} : { errorMessage }),
    flagMetadata: { ...flagMetadata },
  };
}
