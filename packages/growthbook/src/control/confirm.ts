// confirm.ts: whether the SDK endpoint, which is what agents get, says what was flipped.

import type { Flip, SwitchFlag } from '@offswitch/core';
import { GrowthBookError } from '../error.ts';
import { isObject, parsePayload } from '../payload.ts';
import type { TargetField } from './model.ts';
import type { ControlSettings } from './options.ts';

export interface Asked {
  readonly action: Flip['action'];
  readonly flag: SwitchFlag;
  readonly target: { readonly field: TargetField; readonly id: string } | undefined;
}

/** The first pause between two looks; it doubles. Milliseconds. */
const firstPauseMs = 50;

/** Looks until the endpoint says so. Throws `not_confirmed` after `confirmWithinMs`. Without a client key it looks at nothing. */
export async function confirmAtSdk(settings: ControlSettings, asked: Asked): Promise<void> {
  if (settings.clientKey === undefined) return;
  const endsAt = performance.now() + settings.confirmWithinMs;
  let found = 'nothing yet';
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, 1000)) {
    found = await look(settings, asked);
    if (found === (asked.action === 'engage' ? 'engaged' : 'released')) return;
    if (performance.now() + pauseMs > endsAt) break;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new GrowthBookError(
    'not_confirmed',
    `the ${asked.action} of ${asked.flag.key} is published, and after ${settings.confirmWithinMs} ms the SDK endpoint says ${found}; look at the rules of the feature, at its environment, and whether a cache is in front of ${settings.apiHost}`,
  );
}

async function look(settings: ControlSettings, { flag, target }: Asked): Promise<string> {
  try {
    const response = await fetch(`${settings.apiHost}/api/features/${encodeURIComponent(settings.clientKey ?? '')}`, {
      signal: AbortSignal.timeout(settings.timeoutMs),
    });
    const text = await response.text();
    if (response.status !== 200) return `status ${response.status}`;
    const parsed = parsePayload(text, settings.decryptionKey);
    if (!parsed.ok) return parsed.why;
    const { features, forSdk } = parsed.payload;
    if (!Object.hasOwn(features, flag.key)) return 'no such feature';
    const value = saidFor(features[flag.key], isObject(forSdk.savedGroups) ? forSdk.savedGroups : {}, target);
    return value === undefined
      ? 'something that depends on more than this switch'
      : value === flag.engagedWhen
        ? 'engaged'
        : 'released';
  } catch {
    return 'nothing: it cannot be reached';
  }
}

/** The value for one target, or for everybody, as far as our own rules go; `undefined` where another rule comes first. */
function saidFor(feature: unknown, groups: Readonly<Record<string, unknown>>, target: Asked['target']): unknown {
  if (!isObject(feature)) return undefined;
  for (const rule of Array.isArray(feature.rules) ? (feature.rules as unknown[]) : []) {
    if (!isObject(rule) || !('force' in rule) || rule.parentConditions !== undefined || rule.coverage !== undefined)
      return undefined;
    if (rule.condition === undefined) return rule.force;
    if (!isObject(rule.condition)) return undefined;
    const asks = Object.entries(rule.condition);
    const [field, condition] = asks[0] ?? [];
    if (asks.length !== 1 || !isObject(condition) || Object.keys(condition).length !== 1) return undefined;
    if (field !== target?.field) continue;
    const ids = condition.$in ?? valuesOf(groups[String(condition.$inGroup)]);
    if (!Array.isArray(ids)) return undefined;
    if (target && ids.includes(target.id)) return rule.force;
  }
  return feature.defaultValue;
}

function valuesOf(group: unknown): unknown {
  return isObject(group) ? group.values : group;
}
