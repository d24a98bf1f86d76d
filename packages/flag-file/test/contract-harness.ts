// contract-harness.ts: a flag file as the contracts of a source drive it. What people flipped is kept in a second file; what the
// source watches is a copy of it, as the fault of the moment has it.

import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KillSwitches, Reading, SwitchFlag } from '@offswitch/core';
import { flagFile, flagFileControl } from '@offswitch/flag-file';
import { contractSwitches, type Fault, type FaultHarness, faultUsers, type OtherFlag, waitUntil } from '@offswitch/testing';
import type { FlagFileJson } from './harness.ts';

const noConnection = 'a file has no connection and nobody who answers';
const cannot: NonNullable<FaultHarness['cannot']> = {
  drop: noConnection,
  reset: noConnection,
  'black-hole': noConnection,
  slow: noConnection,
  unauthorized: noConnection,
  forbidden: noConnection,
  'rate-limited': noConnection,
  'server-error': noConnection,
  'not-found': `${noConnection}; a file that is gone is under "refuse"`,
};
const words = { reason: 'contract', by: 'suite' };
const waitMs = 5000;

export async function contractHarness(switches: KillSwitches = contractSwitches): Promise<FaultHarness> {
  const directory = await mkdtemp(join(tmpdir(), 'offswitch-flag-file-'));
  const truth = join(directory, 'truth.flagd.json');
  const path = join(directory, 'switches.flagd.json');
  const control = flagFileControl(truth);
  await control.provision(switches, { apply: true });
  const first = await readFile(truth, 'utf8');
  await writeFile(path, first);
  const source = flagFile(path, { settleMs: 5, pollMs: 60_000 });
  let fault: Fault | undefined;

  const swap = async (text: string): Promise<void> => {
    await writeFile(`${path}.next`, text);
    await rename(`${path}.next`, path);
  };
  const publish = async (): Promise<void> => {
    const served = damaged(await readFile(truth, 'utf8'), fault);
    if (served === undefined) await rm(path, { force: true });
    else await swap(served);
  };
  const seen = async (holds: () => boolean): Promise<void> => {
    if (!(await waitUntil(source, waitMs, holds))) throw new Error(`not seen within ${waitMs} ms: ${source.health.why}`);
  };
  const reading = (flag: SwitchFlag, target = 'nobody-in-particular'): Reading =>
    source.read(
      flag,
      flag.tier === 'user'
        ? { userId: target }
        : flag.tier === 'instance'
          ? { sessionId: target }
          : { workflow: flag.workflow ?? '' },
    );
  const store = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    await control[action]({ flag, ...words, ...(target === undefined ? {} : { target }) });
    await publish();
  };
  const flip = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    await store(action, flag, target);
    const wanted = action === 'engage' ? 'engaged' : 'released';
    await seen(() => {
      const now = reading(flag, target);
      return now.state === wanted && now.origin === 'live';
    });
  };
  const edit = async (change: (file: FlagFileJson) => void): Promise<void> => {
    const file = JSON.parse(await readFile(truth, 'utf8')) as FlagFileJson;
    change(file);
    const revision = file.metadata?.['offswitch.revision'];
    file.metadata = { ...file.metadata, 'offswitch.revision': (typeof revision === 'number' ? revision : 0) + 1 };
    await writeFile(truth, JSON.stringify(file, undefined, 2));
    await publish();
  };
  const target = (flag: SwitchFlag, ids: readonly string[]) => (file: FlagFileJson) => {
    file.flags[flag.key]!.targeting = { if: [{ in: [{ var: 'userId' }, [...idsOf(file, flag), ...ids]] }, 'engaged', null] };
  };

  return {
    source,
    cannot,
    store,
    engage: (flag, id) => flip('engage', flag, id),
    release: (flag, id) => flip('release', flag, id),
    async turnOn(flag) {
      await edit((file) => {
        file.flags[flag.key]!.defaultVariant = 'engaged';
      });
      await seen(() => reading(flag).state === 'engaged');
    },
    async remove(flag) {
      await edit((file) => {
        delete file.flags[flag.key];
      });
      await seen(() => reading(flag).state === 'unknown');
    },
    async setWrongType(flag) {
      await edit((file) => {
        file.flags[flag.key]!.variants = { engaged: 'true', released: 'false' };
      });
      await seen(() => reading(flag).state === 'unknown');
    },
    async lose() {
      fault = 'refuse';
      await publish();
      await seen(() => source.health.state === 'stale');
    },
    async recover() {
      fault = undefined;
      await publish();
      await seen(() => source.health.state === 'fresh');
    },
    async serveOlder() {
      await swap(first);
      await seen(() => source.health.state === 'stale');
    },
    async feed(text) {
      await swap(text);
      await source.refresh();
      await seen(() => source.health.state === 'stale');
    },
    async engageMany(flag, targets) {
      await edit(target(flag, targets));
      await seen(() => reading(flag, targets.at(-1)).state === 'engaged');
    },
    async unanswered() {
      // The nearest there is to a vendor that does not answer: a file that is not there yet.
      return flagFile(join(directory, 'not-there-yet.flagd.json'), { settleMs: 5, pollMs: 60_000 });
    },
    async elsewhere() {
      const elsewhere = join(directory, 'elsewhere.flagd.json');
      await writeFile(elsewhere, first);
      return flagFile(elsewhere, { settleMs: 5, pollMs: 60_000 });
    },
    async putFlag(key, flag) {
      await edit((file) => {
        file.flags[key] = otherFlag(flag);
      });
      await source.refresh();
    },
    async inject(next) {
      const user = switches.user!;
      switch (next) {
        case 'older-version':
          await swap(first);
          return;
        case 'duplicate':
          await publish();
          return;
        case 'change-in-gap':
          await rm(path);
          await store('engage', user, faultUsers.first);
          return;
        case 'two-quick-changes':
          await store('engage', user, faultUsers.first);
          await store('engage', user, faultUsers.second);
          return;
        case 'reordered': {
          await control.engage({ flag: user, ...words, target: faultUsers.first });
          const earlier = await readFile(truth, 'utf8');
          await store('engage', user, faultUsers.second);
          await source.refresh();
          await swap(earlier);
          return;
        }
        case 'many-targets':
          await edit(
            target(
              user,
              Array.from({ length: 100_000 }, (_, n) => `many-${n}`),
            ),
          );
          return;
        default:
          fault = next;
          await publish();
      }
    },
    async heal() {
      fault = undefined;
      await publish();
    },
    async close() {
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What stands in the watched file; undefined: there is none. */
function damaged(text: string, fault: Fault | undefined): string | undefined {
  const file = JSON.parse(text) as FlagFileJson;
  const global = file.flags[contractSwitches.global.key];
  switch (fault) {
    case 'refuse':
      return undefined;
    case 'half-frame':
    case 'truncated-json':
      return text.slice(0, text.length / 2);
    case 'wrong-shape':
      return JSON.stringify({ ...file, flags: Object.entries(file.flags) });
    case 'empty-set':
      return JSON.stringify({ ...file, flags: {} });
    case 'flag-deleted':
      delete file.flags[contractSwitches.global.key];
      return JSON.stringify(file);
    case 'flag-archived':
      if (global) global.state = 'DISABLED';
      return JSON.stringify(file);
    case 'wrong-type':
      if (global) global.variants = { engaged: 'true', released: 'false' };
      return JSON.stringify(file);
    default:
      return text;
  }
}

function idsOf(file: FlagFileJson, flag: SwitchFlag): readonly string[] {
  const rule = file.flags[flag.key]!.targeting as { if: [{ in: [unknown, string[]] }] };
  return rule.if[0].in[1];
}

function otherFlag({ value, targeted }: OtherFlag): Record<string, unknown> {
  return {
    state: 'ENABLED',
    variants: { everybody: value, ...(targeted ? { targeted: targeted.value } : {}) },
    defaultVariant: 'everybody',
    ...(targeted ? { targeting: { if: [{ '==': [{ var: 'targetingKey' }, targeted.targetingKey] }, 'targeted', null] } } : {}),
  };
}
