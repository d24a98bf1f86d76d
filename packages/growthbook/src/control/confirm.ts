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

async function look(settings: ControlSettings, { action, flag, target }: Asked): Promise<string> {
  try {
    const response = await fetch(`${settings.apiHost}/api/features/${encodeURIComponent(settings.clientKey ?? '')}`, {
      headers: { 'cache-control': 'no-cache' },
      signal: AbortSignal.timeout(settings.timeoutMs),
    });
    const text = await response.text();
    if (response.status !== 200) return `status ${response.status}`;
    const parsed = parsePayload(text, settings.decryptionKey);
    if (!parsed.ok) return parsed.why;
    const wanted = action === 'engage' ? flag.engagedWhen : !flag.engagedWhen;
    const { features, forSdk } = parsed.payload;
    if (!Object.hasOwn(features, flag.key)) return 'no such feature';
    const value = saidFor(features[flag.key], isObject(forSdk.savedGroups) ? forSdk.savedGroups : {}, target, wanted);
    return value === undefined
      ? 'something that depends on more than this switch'
      : value === flag.engagedWhen
        ? 'engaged'
        : 'released';
  } catch {
    return 'nothing: it cannot be reached';
  }
}

/**
 * The value for one target, or for everybody, as far as it follows from rules like ours; `undefined` where a rule that we cannot
 * judge could give another than `wanted`.
 */
function saidFor(feature: unknown, groups: Groups, target: Asked['target'], wanted: boolean): unknown {
  if (!isObject(feature)) return undefined;
  for (const rule of Array.isArray(feature.rules) ? (feature.rules as unknown[]) : []) {
    const matches = isObject(rule) && 'force' in rule ? matchOf(rule, groups, target) : 'unknown';
    if (matches === 'no') continue;
    const force = isObject(rule) ? rule.force : undefined;
    if (matches === 'yes') return force;
    if (force !== wanted) return undefined;
  }
  return feature.defaultValue;
}

type Groups = Readonly<Record<string, unknown>>;

function matchOf(rule: Record<string, unknown>, groups: Groups, target: Asked['target']): 'yes' | 'no' | 'unknown' {
  if (rule.parentConditions !== undefined || rule.coverage !== undefined || rule.filters !== undefined) return 'unknown';
  if (rule.condition === undefined) return 'yes';
  if (!target || !isObject(rule.condition)) return 'unknown';
  const asks = Object.entries(rule.condition);
  const [field, condition] = asks[0] ?? [];
  if (asks.length !== 1 || !isObject(condition) || Object.keys(condition).length !== 1) return 'unknown';
  const ids = condition.$in ?? valuesOf(groups[String(condition.$inGroup)]);
  if (!Array.isArray(ids)) return 'unknown';
  // A list of another attribute: our rule for sessions beside the one for conversations.
  if (field !== target.field) return 'no';
  return ids.includes(target.id) ? 'yes' : 'no';
}

function valuesOf(group: unknown): unknown {
  return isObject(group) ? group.values : group;
}
