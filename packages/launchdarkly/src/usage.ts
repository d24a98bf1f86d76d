// usage.ts: a flag in use must not look abandoned at the vendor, although reading it reports nothing.
//
// LaunchDarkly tells a flag's last evaluation from the events of SDKs. Readings send none (S11), so now and then one evaluation
// is made that does, for one fixed anonymous context: one context in all, however many sessions there are.

import { serviceContext } from './context.ts';
import type { LdClient } from './sdk.ts';

export interface Usage {
  note(key: string): void;
}

export function createUsage(client: () => LdClient | undefined, everyMs: number): Usage {
  const reportedAt = new Map<string, number>();
  return {
    note(key) {
      const at = performance.now();
      if (at - (reportedAt.get(key) ?? Number.NEGATIVE_INFINITY) < everyMs) return;
      const reporting = client();
      if (!reporting) return;
      reportedAt.set(key, at);
      // Whether it is reported decides nothing.
      void Promise.resolve()
        .then(() => reporting.variationDetail(key, serviceContext, undefined))
        .catch(() => {});
    },
  };
}
