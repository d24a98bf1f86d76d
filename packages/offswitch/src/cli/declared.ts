// declared.ts: what the application declared, read back from the folder, where its runtime wrote it down.

import {
  actionOf,
  effectOf,
  type KillSwitches,
  noticeOf,
  OffswitchError,
  type SwitchFlag,
  type Tier,
  tiers,
  unknownWorkflow,
} from '@offswitch/core';
import { CommandError } from './failure.ts';
import type { Place } from './place.ts';
import { isRecord, list, number, text } from './wire.ts';

export interface Declared {
  readonly switches: KillSwitches;
  /** `location` of a flag file is its path. */
  readonly source: { readonly kind: string; readonly location?: string; readonly series?: string };
  /** Epoch milliseconds at which it was written down. */
  readonly at: number | undefined;
}

/** `undefined` where no application has written its switches down yet. */
export async function readDeclared(place: Place): Promise<Declared | undefined> {
  const document = await place.document();
  if (!isRecord(document)) return undefined;
  const flags = list(document.switches).flatMap(flagOf);
  const global = flags.find((flag) => flag.tier === 'global');
  if (!global) return undefined;
  const source = isRecord(document.source) ? document.source : {};
  const location = text(source.path) ?? text(source.location);
  const series = text(source.series);
  return {
    switches: switchesOf(flags, global),
    source: { kind: text(source.kind) ?? 'unknown', ...(location ? { location } : {}), ...(series ? { series } : {}) },
    at: number(document.at),
  };
}

/** The same, or an error with the way out. */
export async function needDeclared(place: Place): Promise<Declared> {
  const declared = await readDeclared(place);
  if (declared) return declared;
  throw new CommandError(
    'nothing_declared',
    `no switches are declared in ${place.folder}: start the application once, or name its state folder with --state or OFFSWITCH_STATE. ` +
      '"offswitch stop <session>" works without',
  );
}

/** The flag of a tier, or an error that names what is declared. */
export function flagFor(switches: KillSwitches, tier: Tier, subject: string | undefined): SwitchFlag {
  if (tier === 'feature') {
    const flag = switches.flags.find((one) => one.tier === 'feature' && one.workflow === subject);
    if (!flag) throw unknownWorkflow(subject ?? '', switches.workflows);
    return flag;
  }
  const flag = switches.flags.find((one) => one.tier === tier);
  if (!flag)
    throw new OffswitchError(
      'unknown_switch',
      `the application declares no ${tier} switch; declared are: ${[...new Set(switches.flags.map((one) => one.tier))].join(', ')}`,
    );
  return flag;
}

function flagOf(value: unknown): SwitchFlag[] {
  if (!isRecord(value)) return [];
  const key = text(value.key);
  const tier = tiers.find((one) => one === value.tier);
  if (!key || !tier) return [];
  const workflow = text(value.workflow);
  if (tier === 'feature' && !workflow) return [];
  const action = actionOf(tier);
  return [
    {
      key,
      tier,
      ...(tier === 'feature' && workflow ? { workflow } : {}),
      action,
      effect: text(value.effect) ?? effectOf(tier, workflow),
      notice: text(value.notice) ?? noticeOf(action),
      authorized: list(value.authorized).filter((one): one is string => typeof one === 'string'),
      engagedWhen: value.engagedWhen !== false,
      whenUnknown: value.whenUnknown === 'run' ? 'run' : 'hold',
      unattended: value.unattended === true,
    },
  ];
}

function switchesOf(flags: readonly SwitchFlag[], global: SwitchFlag): KillSwitches {
  const workflows = flags.flatMap((flag) => (flag.workflow === undefined ? [] : [flag.workflow]));
  const switches: KillSwitches = {
    flags,
    workflows,
    global,
    user: flags.find((flag) => flag.tier === 'user'),
    instance: flags.find((flag) => flag.tier === 'instance'),
    feature: (workflow) => flagFor(switches, 'feature', workflow),
    isWorkflow: (name): name is string => workflows.includes(name),
    mayDetach: () => false,
  };
  return switches;
}
