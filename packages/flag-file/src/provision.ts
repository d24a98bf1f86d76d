// provision.ts: creates the flags of declared switches that a file does not have yet. It never edits a flag it did not create.

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { KillSwitches, Plan, PlanStep, SwitchFlag } from '@offswitch/core';
import { type Json, revisionKey } from './document.ts';
import { set, setRevision } from './edit.ts';
import { FlagFileError } from './error.ts';
import { showFinding } from './finding.ts';
import { type FlagSet, loadFlagSet } from './flag-set.ts';
import { replaceFile } from './replace.ts';
import { fieldsOf, writeRule } from './rule.ts';
import { readSnapshot } from './snapshot.ts';

/** The schema that editors check the file with (flagd.dev, "Flag definitions"). */
const schema = 'https://flagd.dev/schema/v0/flags.json';

export interface ProvisionContext {
  readonly apply: boolean;
  readonly maxBytes: number;
  exclusively<T>(work: (place: string) => Promise<T>): Promise<T>;
}

export async function provisionFile(location: string, switches: KillSwitches, context: ProvisionContext): Promise<Plan> {
  if (!context.apply) return { steps: planFor(location, await load(location, context.maxBytes), switches), applied: false };
  await mkdir(dirname(location), { recursive: true }).catch((cause: unknown) => {
    throw new FlagFileError('file_unavailable', `the folder of ${location} cannot be created`, { cause });
  });
  return context.exclusively(async (place) => {
    for (let attempt = 0; attempt < 5; attempt++) {
      const before = await load(location, context.maxBytes);
      const steps = planFor(location, before, switches);
      const missing = switches.flags.filter((flag) => steps.some((step) => step.key === flag.key && step.change === 'create'));
      if (missing.length === 0) return { steps, applied: true };
      if (await replaceFile(place, before?.document.text, withFlags(before, missing))) return { steps, applied: true };
    }
    throw new FlagFileError('concurrent_edit', `${location} kept changing while it was being provisioned; try again`);
  });
}

/** `undefined`: there is no file. Throws `file_invalid` for one that does not parse: nothing is written over it. */
async function load(location: string, maxBytes: number): Promise<FlagSet | undefined> {
  const snapshot = await readSnapshot(location, maxBytes);
  if (!snapshot.ok) {
    if (snapshot.kind === 'missing') return undefined;
    throw new FlagFileError(snapshot.kind === 'too-large' ? 'file_invalid' : 'file_unavailable', `${location}: ${snapshot.why}`);
  }
  const loaded = loadFlagSet(snapshot.text);
  if (!loaded.ok)
    throw new FlagFileError('file_invalid', `${showFinding(location, loaded.finding)}; nothing was written over it`);
  return loaded.set;
}

function planFor(location: string, before: FlagSet | undefined, switches: KillSwitches): readonly PlanStep[] {
  return switches.flags.map((flag): PlanStep => {
    if (!before || !Object.hasOwn(before.document.flags, flag.key)) {
      return {
        key: flag.key,
        change: 'create',
        detail: `boolean flag, released; engaged when ${flag.engagedWhen}. ${flag.effect}`,
      };
    }
    const verdict = before.readable(flag.key, flag);
    if (verdict.ok) return { key: flag.key, change: 'keep', detail: 'it is there and can be read' };
    return { key: flag.key, change: 'refuse', detail: showFinding(location, verdict.finding) };
  });
}

function definitionOf(flag: SwitchFlag): Json {
  const fields = fieldsOf(flag);
  return {
    description: flag.effect,
    state: 'ENABLED',
    variants: { engaged: flag.engagedWhen, released: !flag.engagedWhen },
    defaultVariant: 'released',
    ...(fields.length === 0
      ? {}
      : {
          targeting: writeRule(
            fields.map((field) => ({ field, ids: [] })),
            'engaged',
          ),
        }),
  };
}

function withFlags(before: FlagSet | undefined, missing: readonly SwitchFlag[]): string {
  if (!before) {
    const flags = Object.fromEntries(missing.map((flag) => [flag.key, definitionOf(flag)]));
    return `${JSON.stringify({ $schema: schema, metadata: { [revisionKey]: 1 }, flags }, undefined, 2)}\n`;
  }
  const text = missing.reduce((next, flag) => set(next, ['flags', flag.key], definitionOf(flag)), before.document.text);
  return setRevision(text, before.revision + 1);
}
