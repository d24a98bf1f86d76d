// usage.ts: what a model call used, for the cost breaker.

import type { Usage } from '@offswitch/runtime';
import type { ReportedUsage } from './model-shape.ts';

export interface UsageOptions {
  /**
   * What a call cost, in integer micro-units of a currency. Without it, and where it throws, a call is charged what was
   * reserved for it.
   */
  readonly priceOf?: (modelId: string, tokens: { readonly inputTokens: number; readonly outputTokens: number }) => number;
  /** The most one model call can cost, in integer micro-units: reserved before it is made, so that a cap holds. */
  readonly maxCostMicros?: number;
}

export function usageOf(modelId: string, reported: ReportedUsage | undefined, options: UsageOptions | undefined): Usage {
  const inputTokens = reported?.inputTokens?.total;
  const outputTokens = reported?.outputTokens?.total;
  const usage = {
    ...(inputTokens === undefined ? {} : { inputTokens }),
    ...(outputTokens === undefined ? {} : { outputTokens }),
  };
  if (!options?.priceOf || (inputTokens === undefined && outputTokens === undefined)) return usage;
  try {
    return {
      ...usage,
      costMicros: Math.ceil(options.priceOf(modelId, { inputTokens: inputTokens ?? 0, outputTokens: outputTokens ?? 0 })),
    };
  } catch {
    // A price list with a hole must not lose a reply that was paid for: the reserve is charged.
    return usage;
  }
}
