// flip.ts: one flip as semantic patch instructions, and whether the flag as it was read back does what was asked.

import type { Target } from './order.ts';
import { everybodyGets, exceptions, membersOf, type RestSegment, type SwitchView, targetsOf } from './rest-flag.ts';

export type Instruction = Readonly<Record<string, unknown>> & { readonly kind: string };

/**
 * For everybody. Off is preferred wherever the off variation says what is wanted, because off knows no exceptions: no target,
 * rule or prerequisite counts. Else on, with the default rule set to it.
 */
export function forEverybody(view: SwitchView, action: 'engage' | 'release'): readonly Instruction[] {
  const wanted = action === 'engage' ? view.engaged : view.released;
  const { config } = view;
  if (config.offVariation === wanted.index) return config.on ? [{ kind: 'turnFlagOff' }] : [];
  return [
    ...(config.fallthrough?.variation === wanted.index
      ? []
      : [{ kind: 'updateFallthroughVariationOrRollout', variationId: wanted.id }]),
    ...(config.on ? [] : [{ kind: 'turnFlagOn' }]),
  ];
}

/** Why it does not; undefined: it does. */
export function everybodyFails(view: SwitchView, action: 'engage' | 'release'): string | undefined {
  const wanted = action === 'engage' ? view.engaged : view.released;
  if (everybodyGets(view.config) !== wanted.index) return 'its default says otherwise';
  const left = exceptions(view, wanted.index);
  return left.length === 0 ? undefined : `${left.join(' and ')} say otherwise for somebody; take them out in LaunchDarkly`;
}

/** For one target. An id may stand in one variation only, so that it leaves the other first. */
export function forTarget(view: SwitchView, action: 'engage' | 'release', target: Target): readonly Instruction[] {
  const { config, engaged, released } = view;
  const isEngaged = targetsOf(config, target.kind, engaged.index).includes(target.id);
  const change = (kind: 'addTargets' | 'removeTargets', variationId: string): Instruction => ({
    kind,
    contextKind: target.kind,
    values: [target.id],
    variationId,
  });
  if (action === 'release') return isEngaged ? [change('removeTargets', engaged.id)] : [];
  return [
    ...(targetsOf(config, target.kind, released.index).includes(target.id) ? [change('removeTargets', released.id)] : []),
    ...(isEngaged ? [] : [change('addTargets', engaged.id)]),
    // Off, nobody's target counts. On, everybody else gets the default rule, which `needsRelease` has looked at.
    ...(config.on ? [] : [{ kind: 'turnFlagOn' }]),
  ];
}

export function targetFails(
  view: SwitchView,
  action: 'engage' | 'release',
  target: Target,
  segment: RestSegment | undefined,
): string | undefined {
  const isListed =
    targetsOf(view.config, target.kind, view.engaged.index).includes(target.id) ||
    (segment !== undefined && membersOf(segment, target.kind).includes(target.id));
  if (action === 'release') return isListed && view.config.on ? 'the target is still listed' : undefined;
  if (!isListed) return 'the target is not listed';
  if (!view.config.on) return 'the flag is off, so no target counts';
  if (targetsOf(view.config, target.kind, view.released.index).includes(target.id)) return 'it is also targeted as released';
  return (view.config.prerequisites ?? []).length > 0 ? 'a prerequisite stands before its targets' : undefined;
}

/** Turned on for one target, does an off flag stop others who are still listed? Answers how many, for a person. */
export function wouldStopOthers(view: SwitchView, target: Target, segment: RestSegment | undefined): string | undefined {
  const { config, engaged } = view;
  if (config.on) return undefined;
  const kinds = ['user', 'session', 'conversation'] as const;
  const others = kinds.flatMap((kind) =>
    [...targetsOf(config, kind, engaged.index), ...(segment ? membersOf(segment, kind) : [])].filter(
      (id) => kind !== target.kind || id !== target.id,
    ),
  );
  if (others.length === 0) return undefined;
  return `it is off and still lists ${others.length} others (${others.slice(0, 3).join(', ')}), who would be stopped with it turned on; take them out, or turn it on yourself`;
}

/** Would turning the flag on, or its default rule, engage whom nobody named? Then a targeted order means nothing. */
export function untargeted(view: SwitchView): string | undefined {
  const { config, engaged } = view;
  const shares = config.fallthrough?.rollout?.variations ?? [];
  if (config.fallthrough?.variation === engaged.index || shares.some((one) => one.variation === engaged.index && one.weight > 0))
    return 'its default rule engages everybody; set the default rule to the released variation first';
  if (!config.on && config.offVariation === engaged.index)
    return 'it is off and its off variation engages everybody; set the off variation to the released one first';
  return undefined;
}
