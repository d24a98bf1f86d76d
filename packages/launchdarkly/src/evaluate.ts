// evaluate.ts: from what the SDK answers for a switch to a reading. Everything that is not plainly engaged or released is unknown.

import { type Origin, type Position, type Reading, type SwitchFlag, unknown } from '@offswitch/core';
import type { LdDetail, StoreItem } from './sdk.ts';

/** What the flag itself says, whoever it is read for. Undefined: nothing is wrong with it. */
export function faultOf(flag: SwitchFlag, item: StoreItem): Reading | undefined {
  const variations = Array.isArray(item.variations) ? (item.variations as readonly unknown[]) : [];
  const other = variations.find((value) => typeof value !== 'boolean');
  if (other !== undefined)
    return unknown('wrong-type', `flag ${flag.key} has a variation that is ${kindOf(other)}; a switch is a boolean flag`);
  if ((flag.tier === 'user' || flag.tier === 'instance') && isOnForEverybody(item, variations, flag.engagedWhen)) {
    return unknown(
      'untargeted',
      `flag ${flag.key} serves ${flag.engagedWhen} to whoever no target or rule names; a ${flag.tier} switch must name its targets: set the ${item.on === true ? 'default rule' : 'off variation'} to ${!flag.engagedWhen}`,
    );
  }
  return undefined;
}

/** Does whoever is named nowhere get the engaged variation, or can (a percentage)? */
function isOnForEverybody(item: StoreItem, variations: readonly unknown[], engagedWhen: boolean): boolean {
  const isEngaged = (index: unknown): boolean => typeof index === 'number' && variations[index] === engagedWhen;
  if (item.on !== true) return isEngaged(item.offVariation);
  const { fallthrough } = item as { fallthrough?: { variation?: unknown; rollout?: { variations?: unknown } } };
  if (typeof fallthrough?.variation === 'number') return isEngaged(fallthrough.variation);
  const shares = fallthrough?.rollout?.variations;
  return (
    Array.isArray(shares) &&
    shares.some(
      (share: { variation?: unknown; weight?: unknown } | null) => isEngaged(share?.variation) && Number(share?.weight) > 0,
    )
  );
}

/** `missing`: segments the flag asks and that are not there, so that nobody could be found in them. */
export function readingOf(
  flag: SwitchFlag,
  detail: LdDetail,
  origin: Origin,
  position: Position,
  missing: readonly string[] = [],
): Reading {
  const { value, variationIndex, reason } = detail;
  if (variationIndex === undefined || variationIndex === null) {
    const kind = String(reason?.kind);
    const why =
      kind === 'OFF'
        ? 'it is off and has no off variation; set one in the dashboard'
        : kind === 'ERROR'
          ? `LaunchDarkly's SDK answers ${String(reason?.errorKind)}`
          : `nothing is served for ${kind}`;
    return unknown('error', `flag ${flag.key}: ${why}`);
  }
  if (typeof value !== 'boolean')
    return unknown('wrong-type', `flag ${flag.key} serves ${kindOf(value)}; a switch is a boolean flag`);
  const isEngaged = value === flag.engagedWhen;
  if (!isEngaged && missing.length > 0)
    return unknown(
      'error',
      `flag ${flag.key} asks the segment ${missing.join(', ')}, which did not come with it; restore it, or take its rule out`,
    );
  // A prerequisite moves without the flag: that it fails is no release, nor is it one after any later edit of the flag.
  if (!isEngaged && reason?.kind === 'PREREQUISITE_FAILED')
    return { state: 'released', origin, position: { series: position.series } };
  const segments = reason?.bigSegmentsStatus;
  if (segments === undefined || segments === 'HEALTHY') return { state: isEngaged ? 'engaged' : 'released', origin, position };
  // The list itself was not to be had, and LaunchDarkly then takes everybody for no member of it.
  if (isEngaged) return { state: 'engaged', origin: 'cached', position };
  return unknown(
    'stale',
    `flag ${flag.key} asks a big segment that is ${segments}; give its store as sdkOptions.bigSegments, or keep the list under 15,000`,
  );
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
